"""Produce the policy of a run: from the user's module to a policy that is proven to be in force."""

from __future__ import annotations

import functools
import hashlib
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from selab.errors import InputError, SelabError
from selab.guest import MAX_ANSWER, Query
from selab.host.binding import is_sealed, seal
from selab.host.private import private_directory, read_private, remove, write_private
from selab.host.sealed import read_sealed, write_sealed
from selab.policy.base import BasePolicy
from selab.policy.compile import CompiledModule, KernelPolicy, compile_module, link, policy_digest
from selab.policy.compile_cil import compile_cil
from selab.policy.guest.load import ANY, flush_cache, load
from selab.policy.module import PolicyModule
from selab.policy.module_files import LANGUAGES
from selab.policy.toolchain import Toolchain
from selab.progress import Progress

CACHE_FORMAT = 7
"""Part of every cache key here. Raise it if the same sources give another module."""
KEPT = 200
"""Compiled modules to cache per project: each takes some kilobytes, and undoing an edit finds the old one."""
KEPT_LINKED = 16
"""Linked policies to cache per project: each takes two megabytes."""
_LINKING = threading.Lock()
"""Serializes linking, so that a second caller finds the first one's result."""


@dataclass(frozen=True)
class WantedPolicy:
    """The policy that a run needs in force.

    base: base policy.
    candidates: modules linked with it.
    tools: toolchain that links them.
    permissive: domains to make permissive.
    dontaudit: whether dontaudit rules are included.
    installed: whether the candidates are in the guest's store, whose policy is then used as it is.
    """

    base: BasePolicy
    candidates: Sequence[CompiledModule]
    tools: Toolchain
    permissive: tuple[str, ...] = ()
    dontaudit: bool = True
    installed: bool = False

    @functools.cached_property
    def digest(self) -> str:
        return policy_digest(self.base, self.candidates, permissive=self.permissive, dontaudit=self.dontaudit)

    def flushed(self, contexts: Sequence[str]) -> Query[bool]:
        """Query a flush of the access vector cache; the answer is False if this policy is not in force."""
        return flush_cache(ANY if self.installed else self.digest, contexts)

    def loaded(self, contexts: Sequence[str], progress: Progress) -> tuple[LoadedPolicy, Query[None]]:
        """Link the policy, unless it is cached, and return the query that loads it.

        Raises InputError if it cannot be linked; reading the answer raises CommandFailed if one of `contexts`
        is invalid under it.
        """
        with progress.step("Linking the candidate with the base policy", "link"):
            policy = linked(
                self.base, self.candidates, self.tools, permissive=self.permissive, dontaudit=self.dontaudit
            )
        if policy.slow_because:
            progress.note(f"Linked with the whole module store, which takes longer: {policy.slow_because}.")
        return self._in_force(loaded=True, slow_because=policy.slow_because), load(policy, contexts)

    def reused(self) -> LoadedPolicy:
        """Describe the policy as loaded by an earlier run."""
        return self._in_force(loaded=False)

    def _in_force(self, *, loaded: bool, slow_because: str = "") -> LoadedPolicy:
        digest = self.base.facts.fingerprint if self.installed else self.digest
        return LoadedPolicy(digest, loaded, slow_because, declared_types(self.candidates))


@dataclass(frozen=True)
class LoadedPolicy:
    """The policy that is proven to be in force.

    digest: digest of the policy.
    loaded: false if it was in force already and only the access vector cache was flushed.
    slow_because: why the whole module store was linked, or empty.
    types: types that the candidates declare.
    """

    digest: str
    loaded: bool
    slow_because: str
    types: frozenset[str]

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what the user should know about how the policy was produced."""
        return (f"Linked with the whole module store: {self.slow_because}.",) if self.slow_because else ()


def compiled(
    module: PolicyModule,
    base: BasePolicy,
    tools: Toolchain,
    cache: Path,
    beside: Sequence[PolicyModule] = (),
    above: Sequence[CompiledModule] = (),
) -> CompiledModule:
    """Compile `module`, or read it from `cache` if the same sources were compiled with the same base.

    beside: modules in the same language whose names it may use.
    above: modules in other languages that are compiled already.
    """
    key = hashlib.sha256()
    for part in (
        str(CACHE_FORMAT),
        base.key,
        str(tools.on_host),
        *(each.digest for each in (module, *beside)),
        *(each.cil for each in above),
    ):
        key.update(part.encode())
    path = cache / f"{module.name}-{key.hexdigest()[:20]}.json"
    module_cil = _cached(path)
    if module_cil is None:
        if module.language == "cil":
            module_cil = compile_cil(module, base, tools, beside, above)
        else:
            module_cil = compile_module(module, base, tools, beside)
        _store(module_cil, path)
    return replace(module_cil, source=module)


def compiled_all(
    modules: Sequence[PolicyModule], base: BasePolicy, tools: Toolchain, cache: Path
) -> list[CompiledModule]:
    """Compile `modules` and the modules that they require; each may call the interfaces of the others."""
    together = {each.name: each for module in modules for each in module.all}
    by_language = {
        language: [each for each in together.values() if each.language == language] for language in LANGUAGES
    }
    results: dict[str, CompiledModule] = {}
    for modules in by_language.values():
        results |= {
            each.name: compiled(
                each, base, tools, cache, [other for other in modules if other is not each], above
            )
            for above in [list(results.values())]
            for each in modules
        }
    return [results[name] for name in together]


def _cached(path: Path) -> CompiledModule | None:
    """Read a compiled module from the cache; None if the file is missing, damaged or not selab's."""
    entry = read_sealed(path)
    return CompiledModule(entry["name"], entry["cil"], frozenset(entry["types"])) if entry else None


def _store(fresh: CompiledModule, path: Path) -> None:
    write_sealed(path, {"name": fresh.name, "cil": fresh.cil, "types": sorted(fresh.types)})
    for old in _but_newest(KEPT, path.parent, "*.json"):
        remove(old)


def _but_newest(count: int, directory: Path, pattern: str) -> list[Path]:
    """Return the files of `directory` that match `pattern`, except the `count` newest ones."""
    return sorted(directory.glob(pattern), key=lambda path: path.lstat().st_mtime)[:-count]


def linked(
    base: BasePolicy,
    candidates: Sequence[CompiledModule],
    tools: Toolchain,
    *,
    permissive: Sequence[str] = (),
    dontaudit: bool = True,
) -> KernelPolicy:
    """Link `candidates` with `base`, or read the result from the toolchain's `workdir`."""
    digest = policy_digest(base, candidates, permissive=permissive, dontaudit=dontaudit)
    binary = linked_file(tools, digest)
    reason = binary.with_suffix(".why")
    with _LINKING:
        if tools.on_host:
            for directory in (binary.parent.parent, binary.parent):
                private_directory(directory)
        if tools.on_host and (cached := _cached_policy(binary, reason, digest)):
            os.utime(reason, follow_symlinks=False)
            return cached
        fresh = link(base, candidates, tools, permissive=permissive, dontaudit=dontaudit)
        if tools.on_host:
            write_private(binary, fresh.binary)
            metadata = {
                "slow_because": fresh.slow_because,
                "binary": seal(binary.name, fresh.binary),
            }
            write_sealed(reason, metadata)
            for old in _but_newest(KEPT_LINKED, binary.parent, "*.why"):
                remove(old)
                remove(old.with_suffix(""))
        return fresh


def _cached_policy(binary: Path, reason: Path, digest: str) -> KernelPolicy | None:
    """Read a linked policy from the cache; None if the file is missing, damaged or not selab's."""
    metadata = read_sealed(reason)
    try:
        data = read_private(binary, MAX_ANSWER)
    except (OSError, SelabError):
        return None
    if not is_sealed(binary.name, data, metadata.get("binary")):
        return None
    return KernelPolicy(data, digest, str(metadata.get("slow_because", "")))


def linked_file(tools: Toolchain, digest: str) -> Path:
    """Return the file in which `linked` stores a policy that it linked on the host."""
    return Path(tools.workdir) / "linked" / digest


def declared_types(candidates: Sequence[CompiledModule]) -> frozenset[str]:
    """Return the types that any of `candidates` declares."""
    return frozenset[str]().union(*(candidate.types for candidate in candidates))


def require_type(name: str, candidates: Sequence[CompiledModule], base: BasePolicy) -> None:
    """Raise InputError unless a candidate or the base policy declares the type `name`."""
    own = sorted(declared_types(candidates))
    if name in own or base.declares_type(name):
        return
    declared = f"The candidate declares: {', '.join(own)}." if own else "The base policy does not declare it."
    raise InputError(
        f"The type '{name}' is not declared, so no process can run under it.",
        declared,
        "Set `label: {type: ...}` in the scenario.",
    )
