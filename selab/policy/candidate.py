"""The stage `policy` of the way through: from the user's module to a policy that is proven to be in force."""

from __future__ import annotations

import functools
import hashlib
import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from selab.errors import InputError
from selab.guest import Query
from selab.host.files import read_json
from selab.host.local import LocalHost
from selab.policy.base import BasePolicy
from selab.policy.compile import CompiledModule, KernelPolicy, compile_module, link, policy_digest
from selab.policy.guest.load import ANY, flush_cache, load
from selab.policy.module import PolicyModule
from selab.policy.toolchain import Toolchain
from selab.progress import Progress

CACHE_FORMAT = 3
KEPT = 200
"""Compiled modules to keep in a project: each is some kilobytes, and an undo in the editor finds its old one."""
KEPT_LINKED = 16
"""Linked policies to keep in a project: two megabytes each."""
_LINKING = threading.Lock()
"""One link at a time: whoever comes second finds the first one's result."""


@dataclass(frozen=True)
class WantedPolicy:
    """The policy that is to be in force: `base` with `candidates`, linked with `tools`.

    `permissive` names a domain that is to be permissive. `installed`: the candidates are in the guest's store, and what is in force there
    is what is wanted.
    """

    base: BasePolicy
    candidates: Sequence[CompiledModule]
    tools: Toolchain
    permissive: str = ""
    dontaudit: bool = True
    installed: bool = False

    @functools.cached_property
    def digest(self) -> str:
        return policy_digest(self.base, self.candidates, permissive=self.permissive, dontaudit=self.dontaudit)

    def flushed(self, contexts: Sequence[str]) -> Query[bool]:
        """Ask for an empty access vector cache, if this policy is in force already; False where it is not."""
        return flush_cache(ANY if self.installed else self.digest, contexts)

    def loaded(self, contexts: Sequence[str], progress: Progress) -> tuple[LoadedPolicy, Query[None]]:
        """Link it, unless that has been done; and what to ask the guest for to have it in force.

        Raises InputError where it cannot be linked; the asking raises CommandFailed where one of `contexts` is not valid under it.
        """
        with progress.step("Linking the candidate with the base policy", "link"):
            policy = linked(
                self.base, self.candidates, self.tools, permissive=self.permissive, dontaudit=self.dontaudit
            )
        if policy.slow_because:
            progress.note(f"Linked with the whole module store, which takes longer: {policy.slow_because}.")
        return self._in_force(loaded=True, slow_because=policy.slow_because), load(policy, contexts)

    def kept(self) -> LoadedPolicy:
        """It is in force since before."""
        return self._in_force(loaded=False)

    def _in_force(self, *, loaded: bool, slow_because: str = "") -> LoadedPolicy:
        digest = self.base.facts.fingerprint if self.installed else self.digest
        return LoadedPolicy(digest, loaded, slow_because, declared_types(self.candidates))


@dataclass(frozen=True)
class LoadedPolicy:
    """What is in force, proven. `loaded` is False where it was already, and only the access vector cache was flushed."""

    digest: str
    loaded: bool
    slow_because: str
    types: frozenset[str]

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of how it came to be in force."""
        return (f"Linked with the whole module store: {self.slow_because}.",) if self.slow_because else ()


def compiled(
    module: PolicyModule, base: BasePolicy, tools: Toolchain, kept: Path, beside: Sequence[PolicyModule] = ()
) -> CompiledModule:
    """`module` as CIL: out of `kept` where the same sources were compiled against the same base before."""
    key = hashlib.sha256()
    for part in (
        str(CACHE_FORMAT),
        base.facts.fingerprint,
        str(tools.on_host),
        *(each.digest for each in (module, *beside)),
    ):
        key.update(part.encode())
    path = kept / f"{module.name}-{key.hexdigest()[:20]}.json"
    found = _kept(path)
    if found is None:
        found = compile_module(module, base, tools, beside)
        _keep(found, path)
    return found


def compiled_all(
    module: PolicyModule, base: BasePolicy, tools: Toolchain, kept: Path
) -> list[CompiledModule]:
    """`module` and what it requires, each compiled beside the others, whose interfaces it may call."""
    return [
        compiled(each, base, tools, kept, [other for other in module.all if other is not each])
        for each in module.all
    ]


def _kept(path: Path) -> CompiledModule | None:
    """What `_keep` has written there; a file that is not there, or was cut off by a crash, is none."""
    told = read_json(path)
    try:
        whole = hashlib.sha256(told["cil"].encode()).hexdigest() == told["digest"]
        return CompiledModule(told["name"], told["cil"], frozenset(told["types"])) if whole else None
    except (KeyError, TypeError, AttributeError):
        return None


def _keep(fresh: CompiledModule, path: Path) -> None:
    digest = hashlib.sha256(fresh.cil.encode()).hexdigest()
    LocalHost().put(
        json.dumps({**fresh.__dict__, "types": sorted(fresh.types), "digest": digest}).encode(), str(path)
    )
    for old in sorted(path.parent.glob("*.json"), key=lambda each: each.stat().st_mtime)[:-KEPT]:
        old.unlink(missing_ok=True)


def linked(
    base: BasePolicy,
    candidates: Sequence[CompiledModule],
    tools: Toolchain,
    *,
    permissive: str = "",
    dontaudit: bool = True,
) -> KernelPolicy:
    """`candidates` linked with `base`: out of the toolchain's `workdir` where the same was linked there before."""
    digest = policy_digest(base, candidates, permissive=permissive, dontaudit=dontaudit)
    binary = linked_file(tools, digest)
    reason = binary.with_suffix(".why")
    with _LINKING:
        if tools.on_host and (kept := _kept_policy(binary, reason, digest)):
            reason.touch()
            return kept
        fresh = link(base, candidates, tools, permissive=permissive, dontaudit=dontaudit)
        if tools.on_host:
            tools.where.put(fresh.binary, str(binary))
            told = {"slow_because": fresh.slow_because, "sha256": hashlib.sha256(fresh.binary).hexdigest()}
            tools.where.put(json.dumps(told).encode(), str(reason))
            for old in sorted(binary.parent.glob("*.why"), key=lambda each: each.stat().st_mtime)[
                :-KEPT_LINKED
            ]:
                old.unlink(missing_ok=True)
                old.with_suffix("").unlink(missing_ok=True)
        return fresh


def _kept_policy(binary: Path, reason: Path, digest: str) -> KernelPolicy | None:
    """What `linked` has kept, as it was when it was linked."""
    told = read_json(reason)
    try:
        data = binary.read_bytes()
    except OSError:
        return None
    if hashlib.sha256(data).hexdigest() != told.get("sha256"):
        return None
    return KernelPolicy(data, digest, str(told.get("slow_because", "")))


def linked_file(tools: Toolchain, digest: str) -> Path:
    """Where `linked` keeps a policy that was linked on the host."""
    return Path(tools.workdir) / "linked" / digest


def declared_types(candidates: Sequence[CompiledModule]) -> frozenset[str]:
    """The types that any of `candidates` declares."""
    return frozenset[str]().union(*(candidate.types for candidate in candidates))


def require_type(name: str, candidates: Sequence[CompiledModule], base: BasePolicy) -> None:
    """Raise InputError unless a candidate or the base policy declares the type `name`."""
    own = sorted(declared_types(candidates))
    if name in own or base.declares_type(name):
        return
    declared = f"The candidate declares: {', '.join(own)}." if own else "The base policy does not have it."
    raise InputError(
        f"No type '{name}' is declared, so nothing can run under it.",
        declared,
        "Set `label: {type: ...}` in the scenario.",
    )
