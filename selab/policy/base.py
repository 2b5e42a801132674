"""Read the base policy, which is the guest's policy without the candidate, and cache it as a flat base."""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selab.errors import AnswerTooLong, SelabError
from selab.guest import IN_THE_LOG, Guest, script_argv
from selab.host.cache import alone
from selab.host.files import read_json, write_json
from selab.policy.deny import is_plain
from selab.policy.filecon import FileSpec, filecons, read_specs
from selab.policy.flat import dangling_names, flatten, without_repeated_roles
from selab.policy.integrity import digests, is_unchanged
from selab.policy.language.commands import names_extended_rule
from selab.policy.local_modifications import local_modifications
from selab.policy.store_archive import FILE_CONTEXTS, decompressed, unpack
from selab.policy.survey import (
    CONTEXTS,
    HEADERS,
    TEMPLATES,
    StoreFacts,
    digest_of_part,
    fingerprint_of,
    keep_facts,
    modules_in_force,
    stored_facts,
)
from selab.policy.toolchain import GUEST_WORKDIR, Demands, Toolchain, missing_on_host
from selab.progress import Progress

FORMAT = 10
"""Part of every cache key here. Raise it if the same store gives other files (test_cache_formats.py)."""
READ_TIMEOUT = 300.0
"""Seconds to read the module store and the headers (15 MB): ten in an emulated guest."""
MAX_STORE = 256 * 1024 * 1024
"""Bytes of the archive of the module store and the headers. A distribution's has 15 MB."""
_DENY = re.compile(r"^[^\S\n]*\(deny ", re.MULTILINE)
FACTS = "facts.json"
METADATA = "base.json"
STORE = "cil"
USED = (CONTEXTS, HEADERS, "flat.cil", TEMPLATES)
"""What selab checks whenever it takes a base policy from the cache. It checks the store's CIL on use."""
HOMES = "homedir_template"
"""The file of contexts/files that has the lines for home directories, which genhomedircon expands."""
BASES = "bases"
"""The cache holds here the base policies that selab read from guests."""
IMPORTED = "imported"
"""The cache holds here what `selab base import` stored, apart from what selab read from guests."""
LOCAL = "zz-local"
"""The cache stores the store's local modifications under this name, beside its modules."""
RESOLVE_TIMEOUT = 600.0
"""Seconds for secil2tree over the whole store: 3 natively, 20 times that in an emulated guest."""
SWAP_LIMIT = 30.0
"""Seconds to wait for another process that moves a base policy into place by renaming a directory."""


@dataclass(frozen=True)
class BasePolicy:
    """A base policy in the cache.

    facts: what the guest reported about its store.
    directory: directory with flat.cil, the store's CIL in cil/, the development headers in devel/ and the
        templates for udica in templates/.
    dangling: names that optional blocks require and nothing declares.
    left_out: files with local modifications that a linked policy does not contain (users.local).
    denies: whether it contains `deny` rules, which older CIL compilers cannot read.
    limits_ioctl: whether it contains extended rules, which limit the commands of ioctl.
    imported: digest of the content if it was imported from a file, or empty if selab read it from a guest.
    """

    facts: StoreFacts
    directory: Path
    dangling: frozenset[str]
    left_out: tuple[str, ...] = ()
    denies: bool = False
    limits_ioctl: bool = True
    imported: str = ""

    @property
    def key(self) -> str:
        """Return what identifies the base policy in the keys of caches.

        selab cannot compute the fingerprint of an imported base policy from its content. With its digest in
        the key, no result of it serves a guest that has the same fingerprint.
        """
        return self.facts.fingerprint + self.imported

    @property
    def demands(self) -> Demands:
        """Return what the compiler must know; deny rules only if selab cannot resolve them itself."""
        return Demands(self.denies and not is_plain(self.flat.read_text()), self.facts.policyvers)

    @property
    def flat(self) -> Path:
        return self.directory / "flat.cil"

    @property
    def store(self) -> list[Path]:
        """Return the store's modules as CIL files, in link order. Raises SelabError if a file was changed.

        They are read only if the flat base cannot be used, so they are checked here.
        """
        if not is_unchanged(self.directory, read_json(self.directory / METADATA).get("digests", {}), [STORE]):
            (self.directory / METADATA).unlink(missing_ok=True)
            raise SelabError(
                "The cached base policy was changed.",
                f"Its digest differs: {self.directory / STORE}",
                "Import its file again."
                if self.imported
                else "Run the command again: selab reads the base policy from the guest.",
            )
        return sorted((self.directory / STORE).iterdir())

    @property
    def headers(self) -> Path:
        return self.directory / HEADERS

    @property
    def templates(self) -> list[Path]:
        """Return copies of the guest's templates for udica, by their names."""
        return sorted((self.directory / TEMPLATES).glob("*.cil"))

    def file_contexts(self, name: str = "file_contexts") -> list[FileSpec]:
        """Return the lines of a file of the policy's file contexts; empty if it does not exist."""
        path = self.directory / CONTEXTS / "files" / name
        text = path.read_text(errors="surrogateescape") if path.exists() else ""
        return list(read_specs(text.splitlines()))

    def declares_type(self, name: str) -> bool:
        """Return whether the base policy declares `name` as a type or an alias."""
        statements = (f"(type {name})", f"(typealias {name})")
        with self.flat.open() as lines:
            return any(line.startswith(statements) for line in lines)

    def declared(self, *keywords: str) -> frozenset[str]:
        """Return the names that the base policy declares with CIL's `keywords`."""
        declaration = re.compile(rf"\((?:{'|'.join(keywords)}) ([^()\s]+)")
        with self.flat.open() as lines:
            return frozenset(match[1] for line in lines if (match := declaration.match(line)))


def ensure_base(
    guest: Guest, facts: StoreFacts, tools: Toolchain, cache: Path, progress: Progress
) -> BasePolicy:
    """Return the base policy with the fingerprint of `facts`.

    It comes from the cache, or is read from the guest and flattened with `tools`.
    """
    directory = _directory(facts.fingerprint, cache)
    metadata = _metadata(directory)
    if not metadata:
        with alone(
            cache / "locks" / f"read-{directory.name}",
            READ_TIMEOUT + RESOLVE_TIMEOUT,
            "reading a guest's base policy",
            progress,
        ):
            if not _metadata(directory):
                _read(guest, facts, tools, cache, progress)
        metadata = _metadata(directory)
    if not metadata:
        raise SelabError("The guest's policy store changed while it was read.", hint="Run the command again.")
    keep_facts(facts, directory / FACTS)
    return _base(directory, facts, metadata)


def _read(guest: Guest, facts: StoreFacts, tools: Toolchain, cache: Path, progress: Progress) -> None:
    if (_directory(facts.fingerprint, cache) / METADATA).exists():
        progress.note("The cached base policy was changed: its digest differs, so selab reads it again.")
    with progress.step("Reading the guest's base policy and flattening it (once per base policy)", "base"):
        argv = script_argv("policy/read-store", facts.selinux_type)
        done = guest.run(argv, timeout=READ_TIMEOUT, limit=MAX_STORE)
        archive = done.expect("The guest's policy could not be copied.").stdout
        if done.truncated:
            raise AnswerTooLong("The guest's policy store", MAX_STORE)
        keep_base(
            archive, facts.selinux_type, tools, cache, facts.without, newer=Toolchain(guest, GUEST_WORKDIR)
        )


def known_base(fingerprint: str, cache: Path, own: Path | None = None) -> BasePolicy | None:
    """Return the cached base policy with that fingerprint, without a guest.

    Its facts come from the file `own`, in which `keep_facts` stores what a project's guest reported, or
    otherwise from the last guest of any project that had this base policy.
    """
    facts = (*(stored_facts(own) if own else ()), *stored_facts(_directory(fingerprint, cache) / FACTS))
    return _cached(next((each for each in facts if each.fingerprint == fingerprint), None), cache)


def base_without(names: tuple[str, ...], cache: Path, own: Path) -> BasePolicy | None:
    """Return the cached base policy that a project's guest had last without the modules `names`.

    `own` is the file in which `keep_facts` stores what the guest reported.
    """
    return _cached(next((each for each in stored_facts(own) if each.without == names), None), cache)


def newest_base(cache: Path) -> BasePolicy | None:
    """Return the cached base policy that any project's guest used last, or that was imported after that.

    One that lacks modules of the guest, which a candidate replaced, is returned only if there is no other.
    """
    there = [path for kind in (BASES, IMPORTED) for path in (cache / kind).glob(f"*-v{FORMAT}/{FACTS}")]
    lacks = {path: any(facts.replaced for facts in stored_facts(path)[:1]) for path in there}
    there.sort(key=lambda path: (lacks[path], -path.stat().st_mtime))
    return next((base for path in there if (base := base_in(path.parent))), None)


def base_in(directory: Path) -> BasePolicy | None:
    """Return the base policy in a directory of the cache, with the facts of the last guest that had it.

    The result is None if it is incomplete, if it was changed or if the directory is another one's.
    """
    facts = next(iter(stored_facts(directory / FACTS)), None)
    if facts is None or directory.name != directory_name(facts.fingerprint):
        return None
    metadata = _metadata(directory)
    return _base(directory, facts, metadata) if metadata else None


def keep_base(
    archive: bytes,
    selinux_type: str,
    tools: Toolchain,
    cache: Path,
    without: Collection[str] = (),
    *,
    newer: Toolchain | None = None,
) -> None:
    """Flatten a base policy and store it in the cache.

    `archive` is a tar of a file system's policy store, headers, contexts and templates. `newer` are the tools
    to use if the host's are too old for the store's statements.
    """
    (cache / BASES).mkdir(parents=True, exist_ok=True)
    half = Path(tempfile.mkdtemp(prefix=".half-", dir=cache / BASES))
    try:
        store = unpack(archive, selinux_type, half)
        directory = _directory(_fingerprint_of_copy(store, half, without), cache)
        _build(half, store, without, tools, newer)
        half.chmod(0o755)
        with alone(cache / "locks" / f"keep-{directory.name}", SWAP_LIMIT, "keeping a base policy"):
            # If the metadata is there, another process has cached the same base policy, and uses it.
            if not _metadata(directory):
                shutil.rmtree(directory, ignore_errors=True)
                half.rename(directory)
    finally:
        shutil.rmtree(half, ignore_errors=True)


def _fingerprint_of_copy(store: Mapping[str, bytes], directory: Path, without: Collection[str]) -> str:
    """Return the fingerprint that the survey reports for the guest's store.

    `store` holds the store's files by their path in it, and `directory` the unpacked headers and contexts.
    """
    files = {path: hashlib.sha256(data).hexdigest() for path, data in store.items()}
    return fingerprint_of(
        files | {part: digest_of_part(directory, part) for part in (HEADERS, CONTEXTS, TEMPLATES)}, without
    )


def _build(
    directory: Path,
    store: Mapping[str, bytes],
    without: Collection[str],
    tools: Toolchain,
    newer: Toolchain | None,
) -> None:
    """Write the store's CIL, the flat base and the metadata into `directory`, which holds the headers."""
    modules = {
        name: decompressed(store[path]) for name, (_, path) in modules_in_force(store, without).items()
    }
    local = local_modifications({path: data for path, data in store.items() if path.endswith(".local")})
    texts = {name: local.applied(cil) for name, cil in without_repeated_roles(sorted(modules.items()))}
    texts |= {LOCAL: local.cil}
    (directory / STORE).mkdir()
    for name, cil in texts.items():
        (directory / STORE / f"{name}.cil").write_text(cil)
    denies = any(_DENY.search(cil) for cil in texts.values())
    if newer and tools.on_host and missing_on_host(Demands(denies)):
        tools = newer
    flat = flatten(_resolve("".join(texts.values()), tools))
    (directory / "flat.cil").write_text(flat)
    _write_file_contexts(directory, flat, store)
    metadata = {
        "dangling": sorted(dangling_names(modules.values())),
        "left_out": local.left_out,
        "denies": denies,
        "limits_ioctl": names_extended_rule(flat),
        "digests": digests(directory),
    }
    write_json(directory / METADATA, metadata)


def _write_file_contexts(directory: Path, flat: str, store: Mapping[str, bytes]) -> None:
    """Replace the guest's file contexts in `directory` by the lines of the flat base.

    The fingerprint covers the modules. The guest's own file has the lines of installed candidates as well,
    and could have any others. It gives only the order, since lines of equal precedence are in no order that
    libsepol defines (cil_post.c sorts by precedence alone).
    """
    files = directory / CONTEXTS / "files"
    files.mkdir(parents=True, exist_ok=True)
    theirs = directory / CONTEXTS / FILE_CONTEXTS
    lines = theirs.read_text(errors="replace").splitlines() if theirs.exists() else []
    order = {(spec.pattern, spec.kind): number for number, spec in enumerate(read_specs(lines))}
    specs = sorted(filecons(flat), key=lambda spec: order.get((spec.pattern, spec.kind), len(order)))
    theirs.write_text("".join(f"{spec}\n" for spec in specs if not spec.is_template))
    (files / HOMES).write_text("".join(f"{spec}\n" for spec in specs if spec.is_template))
    (files / "file_contexts.local").write_bytes(store.get("file_contexts.local", b""))


def directory_name(fingerprint: str) -> str:
    """Return the name of the directory of the cache that holds the base policy with this fingerprint."""
    return f"{fingerprint[:16]}-v{FORMAT}"


def _directory(fingerprint: str, cache: Path) -> Path:
    return cache / BASES / directory_name(fingerprint)


def _cached(facts: StoreFacts | None, cache: Path) -> BasePolicy | None:
    """Return the cached base policy that `facts` describe, or None if there is none."""
    directory = _directory(facts.fingerprint, cache) if facts else None
    metadata = _metadata(directory) if directory else {}
    return _base(directory, facts, metadata) if directory and facts and metadata else None


def _base(directory: Path, facts: StoreFacts, metadata: Mapping[str, Any]) -> BasePolicy:
    return BasePolicy(
        facts,
        directory,
        frozenset(metadata["dangling"]),
        tuple(metadata["left_out"]),
        bool(metadata.get("denies")),
        bool(metadata.get("limits_ioctl", True)),
        str(metadata.get("imported", "")),
    )


def _metadata(directory: Path) -> dict[str, Any]:
    """Read a base policy's metadata; empty if the base policy is missing or a file's digest differs."""
    metadata = read_json(directory / METADATA)
    stored = metadata.get("digests")
    whole = (
        {"dangling", "left_out"} <= metadata.keys()
        and isinstance(stored, dict)
        and "flat.cil" in stored
        and is_unchanged(directory, stored, USED)
    )
    return metadata if whole else {}


def _resolve(cil: str, tools: Toolchain) -> str:
    """Resolve the whole store's CIL with secil2tree."""
    source = f"{tools.workdir}/store.cil"
    tools.where.put(cil.encode(), source)
    done = tools.where.run(["secil2tree", source], timeout=RESOLVE_TIMEOUT)
    tools.where.run(["rm", "-f", source])
    return done.expect("The base policy cannot be resolved.", hint=IN_THE_LOG).stdout.decode()
