"""Read the base policy, which is the guest's policy without the candidate, and cache it as a flat base."""

from __future__ import annotations

import bz2
import functools
import hashlib
import io
import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from selab.errors import AnswerTooLong, SelabError
from selab.guest import Completed, Guest, Malformed, Query, number, one_of, script, script_argv
from selab.host.cache import alone
from selab.host.files import read_json, write_json
from selab.policy.filecon import filecons, read_specs
from selab.policy.flat import dangling_names, flatten, without_repeated_roles
from selab.policy.integrity import digests, is_unchanged
from selab.policy.local_modifications import local_modifications
from selab.policy.toolchain import GUEST_WORKDIR, Demands, Toolchain, missing_on_host
from selab.progress import Progress

FORMAT = 4
"""Part of every cache key here. Raise it if the meaning of the cached files changes."""
READ_TIMEOUT = 300.0
"""Seconds to read the module store and the headers (15 MB): ten in an emulated guest."""
MAX_STORE = 256 * 1024 * 1024
"""Bytes of the archive of the module store and the headers. A distribution's has 15 MB."""
_MODULE = re.compile(r"modules/(disabled|\d+)/([^/]+)(?:/cil)?")
_ALIAS = re.compile(r"\(typealiasactual (\S+) (\S+)\)")
_DENY = re.compile(r"^[^\S\n]*\(deny ", re.MULTILINE)
_TYPE_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_DIGEST = re.compile(r"(\w{1,128}) [ *](.+)", re.ASCII)
FACTS = "facts.json"
METADATA = "base.json"
STORE = "cil"
USED = ("contexts", "devel", "flat.cil")
"""What selab checks whenever it takes a base policy from the cache. It checks the store's CIL on use."""
HEADERS = "devel"
"""The digest of all development headers has this path in the survey of a store."""
CONTEXTS = "contexts"
"""The digest of the files of CONTEXT_FILES has this path in it."""
CONTEXT_FILES = ("files/file_contexts.subs_dist", "lxc_contexts")
"""What selab uses of a policy's contexts/, and no module declares."""
FILE_CONTEXTS = "files/file_contexts"
"""What selab uses of contexts/ for its order only, because the modules declare its lines."""
LOCAL = "zz-local"
"""The cache stores the store's local modifications under this name, beside its modules."""
RESOLVE_TIMEOUT = 600.0
"""Seconds for secil2tree over the whole store: 3 natively, 20 times that in an emulated guest."""
SWAP_LIMIT = 30.0
"""Seconds to wait for another process that moves a base policy into place by renaming a directory."""


@dataclass(frozen=True)
class StoreFacts:
    """What the guest reports about its policy store.

    selinux_type: name of the policy, such as `targeted`.
    policyvers: newest policy version that the kernel accepts.
    mls: whether the policy has MLS levels.
    expand_check: whether the store checks neverallow rules and hierarchy (semanage.conf(5), expand-check).
    fingerprint: digest of the modules in force, the local modifications, the development headers and the
        files of CONTEXT_FILES.
    dontaudit: false if `semodule -DB` has switched dontaudit rules off.
    without: names of modules that are treated as absent.
    signature: digest of the state of the store's files and configuration; while it stays, so does everything
        else.
    """

    selinux_type: str
    policyvers: int
    mls: bool
    expand_check: bool
    fingerprint: str
    dontaudit: bool = True
    without: tuple[str, ...] = ()
    signature: str = ""


class StoreChanged(SelabError):
    """The guest's policy store differs from the expected one."""


@dataclass(frozen=True)
class BasePolicy:
    """A base policy in the cache.

    facts: what the guest reported about its store.
    directory: directory with flat.cil, the store's CIL in cil/ and the development headers in devel/.
    dangling: names that optional blocks require and nothing declares.
    left_out: files with local modifications that a linked policy does not contain (users.local).
    denies: whether it contains `deny` rules, which older CIL compilers cannot read.
    """

    facts: StoreFacts
    directory: Path
    dangling: frozenset[str]
    left_out: tuple[str, ...] = ()
    denies: bool = False

    @property
    def demands(self) -> Demands:
        return Demands(self.denies, self.facts.policyvers)

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
                "Run the command again: selab reads the base policy from the guest.",
            )
        return sorted((self.directory / STORE).iterdir())

    @property
    def headers(self) -> Path:
        return self.directory / "devel"

    def declares_type(self, name: str) -> bool:
        """Return whether the base policy declares `name` as a type or an alias."""
        statements = (f"(type {name})", f"(typealias {name})")
        with self.flat.open() as lines:
            return any(line.startswith(statements) for line in lines)


def survey(without: Collection[str] = ()) -> Query[StoreFacts]:
    """Query the guest's policy store, without the modules named in `without` (an installed candidate)."""
    return Query(script("policy/survey"), functools.partial(_facts, tuple(sorted(without))))


def same_store(facts: StoreFacts) -> Query[None]:
    """Query whether the guest's store still matches `facts`; reading the answer raises StoreChanged."""
    return Query(script("policy/same-store"), _is_same, (facts.selinux_type, facts.signature))


def _is_same(done: Completed) -> None:
    if not done.ok:
        raise StoreChanged(
            "The guest's policy store changed.", done.error_text.strip(), "Run the command again."
        )


def _facts(without: tuple[str, ...], done: Completed) -> StoreFacts:
    head, _, store = done.expect(
        "The guest's policy store cannot be read.", hint="Run `selab doctor`."
    ).text.partition("\nstore\n")
    try:
        reported = _unique(line.split(maxsplit=1) for line in head.splitlines() if " " in line.strip())
        for key in reported:
            one_of(key, "signature", "type", "policyvers", "mls", "expand", "dontaudit")
        policyvers = number(reported.get("policyvers", "").strip())
        mls = one_of(reported.get("mls", "").strip(), "0", "1") == "1"
        selinux_type = reported.get("type", "")
        if not _TYPE_NAME.fullmatch(selinux_type):
            raise Malformed("the policy's name contains characters that make expands")
        fingerprint = _fingerprint(_digests_by_path(store), without)
    except Malformed as error:
        raise SelabError(
            "The guest did not report which policy store it has.",
            f"It reported: {done.text[:100]!r}",
            "Run `selab doctor`.",
        ) from error
    return StoreFacts(
        selinux_type,
        policyvers,
        mls,
        reported.get("expand", "1").strip() == "1",
        fingerprint,
        reported.get("dontaudit") != "off",
        without,
        reported.get("signature", ""),
    )


def _unique(pairs: Iterable[Sequence[str]]) -> dict[str, str]:
    values: dict[str, str] = {}
    for key, value in pairs:
        if key in values:
            raise Malformed(f"it has {key[:40]!r} twice")
        values[key] = value
    return values


def _digests_by_path(store: str) -> dict[str, str]:
    """Read the lines `DIGEST  PATH` of sha256sum, which follow a line with the store's signature."""
    matches = [_DIGEST.fullmatch(line) for line in store.splitlines()[1:]]
    if not all(matches):
        raise Malformed("a line is not a digest with a path")
    return _unique((match[2], match[1]) for match in matches if match)


def _fingerprint(store: dict[str, str], without: Collection[str]) -> str:
    """Digest the modules in force, the local modifications, the development headers and the contexts.

    `store` holds the digest of each file by its path in the active store.
    """
    if not store:
        raise Malformed("the store is empty")
    best = _in_force(store, without)
    parts = [f"{name} {priority} {store[path]}" for name, (priority, path) in sorted(best.items())]
    parts += [
        f"{path} {digest}"
        for path, digest in sorted(store.items())
        if path.endswith(".local") or path in (HEADERS, CONTEXTS)
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _digest_of(directory: Path, part: str) -> str:
    """Return the digest of the files below `part`, as survey.sh computes it from sha256sum's output."""
    files = {
        f"{part}/{path}": digest
        for path, digest in digests(directory / part).items()
        if part != CONTEXTS or path in CONTEXT_FILES
    }
    lines = (f"{files[path]}  {path}\n" for path in sorted(files, key=os.fsencode))
    return hashlib.sha256(b"".join(os.fsencode(line) for line in lines)).hexdigest()


def _in_force(paths: Iterable[str], without: Collection[str]) -> dict[str, tuple[int, str]]:
    """Return the priority and path of each module in force, by name.

    A module is in force if modules/disabled does not name it, in its highest priority (semanage.conf(5),
    semodule(8)).
    """
    best: dict[str, tuple[int, str]] = {}
    disabled: set[str] = set(without)
    for path in paths:
        if match := _MODULE.fullmatch(path):
            where, name = match.groups()
            if where == "disabled":
                disabled.add(name)
            elif path.endswith("/cil") and int(where) >= best.get(name, (0, ""))[0]:
                best[name] = (int(where), path)
    return {name: match for name, match in best.items() if name not in disabled}


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
    directory = _directory(fingerprint, cache)
    metadata = _metadata(directory)
    candidates = (_facts_at(path) for path in (own, directory / FACTS) if path)
    facts = next((each for each in candidates if each and each.fingerprint == fingerprint), None)
    return _base(directory, facts, metadata) if facts and metadata else None


def keep_facts(facts: StoreFacts, path: Path) -> None:
    """Store what a guest reported about its policy store."""
    if _facts_at(path) != facts:
        write_json(path, asdict(facts))


def newest_base(cache: Path) -> BasePolicy | None:
    """Return the cached base policy that any project's guest used last."""
    there = sorted(
        (cache / "bases").glob(f"*-v{FORMAT}/{FACTS}"), key=lambda path: path.stat().st_mtime, reverse=True
    )
    known = ((path.parent, _facts_at(path), _metadata(path.parent)) for path in there)
    return next(
        (_base(place, facts, metadata) for place, facts, metadata in known if facts and metadata), None
    )


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

    `archive` is a tar of a file system's policy store, headers and contexts. `newer` are the tools to use if
    the host's are too old for the store's statements.
    """
    (cache / "bases").mkdir(parents=True, exist_ok=True)
    half = Path(tempfile.mkdtemp(prefix=".half-", dir=cache / "bases"))
    try:
        try:
            store = _unpack(archive, selinux_type, half)
        except (tarfile.TarError, EOFError, OSError, ValueError) as error:
            raise SelabError(
                "The guest's policy could not be unpacked.", str(error)[:200], "Run `selab doctor`."
            ) from error
        directory = _directory(
            _fingerprint(
                {path: hashlib.sha256(data).hexdigest() for path, data in store.items()}
                | {part: _digest_of(half, part) for part in (HEADERS, CONTEXTS)},
                without,
            ),
            cache,
        )
        modules = {name: _decompressed(store[path]) for name, (_, path) in _in_force(store, without).items()}
        local = local_modifications({path: data for path, data in store.items() if path.endswith(".local")})
        texts = {
            name: local.applied(cil) for name, cil in without_repeated_roles(sorted(modules.items()))
        } | {LOCAL: local.cil}
        _write_file_contexts(half, modules, store)
        (half / "cil").mkdir()
        for name, cil in texts.items():
            (half / "cil" / f"{name}.cil").write_text(cil)
        denies = any(_DENY.search(cil) for cil in texts.values())
        if newer and tools.on_host and missing_on_host(Demands(denies)):
            tools = newer
        (half / "flat.cil").write_text(flatten(_resolve("".join(texts.values()), tools)))
        metadata = {
            "dangling": sorted(dangling_names(modules.values())),
            "left_out": local.left_out,
            "denies": denies,
            "digests": digests(half),
        }
        write_json(half / METADATA, metadata)
        half.chmod(0o755)
        with alone(cache / "locks" / f"keep-{directory.name}", SWAP_LIMIT, "keeping a base policy"):
            if not _metadata(
                directory
            ):  # Otherwise another process has cached the same base policy, and uses it.
                shutil.rmtree(directory, ignore_errors=True)
                half.rename(directory)
    finally:
        shutil.rmtree(half, ignore_errors=True)


def _write_file_contexts(directory: Path, modules: Mapping[str, str], store: Mapping[str, bytes]) -> None:
    """Replace the guest's file contexts in `directory` by the lines that the store's modules declare.

    The fingerprint covers the modules. The guest's own file has the lines of installed candidates as well,
    and could have any others. It gives only the order, since lines of equal precedence are in no order that
    libsepol defines (cil_post.c sorts by precedence alone).
    """
    files = directory / CONTEXTS / "files"
    files.mkdir(parents=True, exist_ok=True)
    theirs = directory / CONTEXTS / FILE_CONTEXTS
    lines = theirs.read_text(errors="replace").splitlines() if theirs.exists() else []
    order = {(spec.pattern, spec.kind): number for number, spec in enumerate(read_specs(lines))}
    aliases = dict(pair for cil in modules.values() for pair in _ALIAS.findall(cil))
    specs = [spec.resolved(aliases) for _, cil in sorted(modules.items()) for spec in filecons(cil)]
    specs.sort(key=lambda spec: order.get((spec.pattern, spec.kind), len(order)))
    theirs.write_text("".join(f"{spec}\n" for spec in specs))
    (files / "file_contexts.local").write_bytes(store.get("file_contexts.local", b""))


def _directory(fingerprint: str, cache: Path) -> Path:
    return cache / "bases" / f"{fingerprint[:16]}-v{FORMAT}"


def _base(directory: Path, facts: StoreFacts, metadata: Mapping[str, Any]) -> BasePolicy:
    return BasePolicy(
        facts,
        directory,
        frozenset(metadata["dangling"]),
        tuple(metadata["left_out"]),
        bool(metadata.get("denies")),
    )


def _facts_at(path: Path) -> StoreFacts | None:
    """Read facts that `keep_facts` stored; None if the file is missing or invalid."""
    metadata = read_json(path)
    try:
        return StoreFacts(**{**metadata, "without": tuple(metadata["without"])})
    except (KeyError, TypeError):
        return None


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
    return done.expect(
        "The base policy cannot be resolved.", hint="The complete output is in .selab/selab.log."
    ).stdout.decode()


def _unpack(archive: bytes, selinux_type: str, directory: Path) -> dict[str, bytes]:
    """Unpack headers and contexts into `directory`, and return the store's own files by their path in it."""
    active = f"var/lib/selinux/{selinux_type}/active/"
    store: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            if not member.isfile():
                continue
            path = member.name.removeprefix("./").removeprefix(active)
            if _MODULE.fullmatch(path) or re.fullmatch(r"\w+\.local", path):
                data = _content(tar, member)
                store |= {path: data} if data or not path.endswith(".local") else {}
            else:
                _keep(path, tar, member, directory)
    return store


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    return file.read() if file else b""


def _keep(name: str, tar: tarfile.TarFile, member: tarfile.TarInfo, directory: Path) -> None:
    """Store the headers as devel/... and what selab uses of contexts/ as contexts/..."""
    contexts = "|".join(map(re.escape, (*CONTEXT_FILES, FILE_CONTEXTS)))
    for pattern in (r"usr/share/selinux/(devel/.*)", rf"etc/selinux/[^/]+/(contexts/(?:{contexts}))"):
        if match := re.fullmatch(pattern, name):
            # A path such as devel/../x would name a file that selab itself makes, and trusts.
            if ".." not in (path := Path(match.group(1))).parts:
                (directory / path).parent.mkdir(parents=True, exist_ok=True)
                (directory / path).write_bytes(_content(tar, member))
            return


def _decompressed(data: bytes) -> str:
    """Decode a module's CIL: compressed with bzip2 or plain, as semanage.conf's bzip-blocksize says."""
    return (bz2.decompress(data) if data.startswith(b"BZh") else data).decode("utf-8")
