"""The base policy: what the guest has without the candidate, read once and kept as a flat base under its fingerprint."""

from __future__ import annotations

import bz2
import functools
import hashlib
import io
import re
import shutil
import tarfile
import tempfile
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from selab.errors import SelabError
from selab.guest import Completed, Guest, Query
from selab.host.cache import alone
from selab.host.files import read_json, write_json
from selab.policy.flat import dangling_names, flatten, without_repeated_roles
from selab.policy.local_modifications import local_modifications
from selab.policy.toolchain import GUEST_WORKDIR, Demands, Toolchain, missing_on_host
from selab.progress import Progress

FORMAT = 2
"""Part of every cache key here: raise it when what is kept under it changes its meaning."""
READ_TIMEOUT = 300.0
"""Seconds to read the module store and the headers (about 15 MB): ten in an emulated guest, more over a slow line."""
_MODULE = re.compile(r"modules/(disabled|\d+)/([^/]+)(?:/cil)?")
_DENY = re.compile(r"^\s*\(deny ", re.MULTILINE)
_TYPE_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
FACTS = "facts.json"
LOCAL = "zz-local"
"""What the store's local changes are kept as, beside its modules."""
RESOLVE_TIMEOUT = 600.0
"""Seconds for secil2tree over the whole store: 3 natively, 20 times that in an emulated guest."""
SWAP_LIMIT = 30.0
"""Seconds to wait for another process that puts a base policy in its place: it renames a directory."""

# What the files of the store and its configuration are, without reading them: no file's content can change without its change time.
_SIGN = r"""
sign() {
  read -r policyvers </sys/fs/selinux/policyvers; read -r mls </sys/fs/selinux/mls
  set -- $({
    echo "$policyvers $mls"
    stat -c '%n %i %s %.Y %.Z' /etc/selinux/config /etc/selinux/semanage.conf \
      disable_dontaudit modules/*/*/cil modules/disabled/* *.local 2>/dev/null
  } | sha256sum)
  signature=$1
}
"""
# Prints the sha256 of every module's CIL and of every local change. They are read again only where the signature has changed.
_SURVEY = r"""
value() {
  found=
  while read -r line; do case $line in "$1"=*|"$1"[[:space:]]*=*) found=${line#*=} ;; esac; done <"$2"
  echo $found
}
type=$(value SELINUXTYPE /etc/selinux/config)
cd "/var/lib/selinux/$type/active" || exit 3
sign
printf '%s\n' "signature $signature" "type $type" \
  "policyvers $policyvers" "mls $mls" "expand $(value expand-check /etc/selinux/semanage.conf)"
[ -e disable_dontaudit ] && echo "dontaudit off"
kept=/run/selab/store; seen=
[ -e "$kept" ] && read -r seen <"$kept"
if [ "$seen" != "$signature" ]; then
  mkdir -p /run/selab
  { echo "$signature"
    find modules -type f \( -name cil -o -path 'modules/disabled/*' \) -print0 | xargs -0 sha256sum
    for local in *.local; do [ -s "$local" ] && sha256sum "$local"; done
  } >"$kept.half"
  mv "$kept.half" "$kept"
fi
echo store
cat "$kept"
"""
_SAME = r"""
cd "/var/lib/selinux/$1/active" && sign && [ "$signature" = "$2" ] || exit 8
"""

_READ = r"""
cd / && tar -cf - "var/lib/selinux/$1/active/modules" $(ls -d var/lib/selinux/"$1"/active/*.local 2>/dev/null) \
  usr/share/selinux/devel $(ls -d "etc/selinux/$1/contexts" 2>/dev/null)
"""


@dataclass(frozen=True)
class StoreFacts:
    """What the guest says of its policy store. `fingerprint` changes with every module in force and every local change; `dontaudit` is
    False where `semodule -DB` has switched those rules off. `without` are modules that count as not there. `signature` changes with
    anything about the store's files and its configuration: while it stands, none of the rest can be another."""

    selinux_type: str
    policyvers: int
    mls: bool
    expand_check: bool
    fingerprint: str
    dontaudit: bool = True
    without: tuple[str, ...] = ()
    signature: str = ""


class StoreChanged(SelabError):
    """The guest's policy store is another than the one that was expected."""


@dataclass(frozen=True)
class BasePolicy:
    """A base policy in the cache: `directory` holds flat.cil, the store's CIL in cil/, the development headers in devel/.

    `left_out` names local changes of the store (users.local) that a linked policy does not have. `denies`: it has `deny` rules, which an
    older CIL compiler cannot read.
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
        """The store's modules as CIL, in the order in which they are linked."""
        return sorted((self.directory / "cil").iterdir())

    @property
    def headers(self) -> Path:
        return self.directory / "devel"

    def declares_type(self, name: str) -> bool:
        """Whether the base policy has the type, or an alias, `name`."""
        statements = (f"(type {name})", f"(typealias {name})")
        with self.flat.open() as lines:
            return any(line.startswith(statements) for line in lines)


def survey(without: Collection[str] = ()) -> Query[StoreFacts]:
    """Ask the guest which policy store it has; modules with a name in `without` (a candidate that is also installed) are left out."""
    return Query(_SIGN + _SURVEY, functools.partial(_facts, tuple(sorted(without))))


def same_store(facts: StoreFacts) -> Query[None]:
    """Ask the guest whether its store is still the one of `facts`. The asking raises StoreChanged where it is not."""
    return Query(_SIGN + _SAME, _is_same, (facts.selinux_type, facts.signature))


def _is_same(done: Completed) -> None:
    if not done.ok:
        raise StoreChanged("The guest's policy store changed.", done.error_text.strip(), "Run again.")


def _facts(without: tuple[str, ...], done: Completed) -> StoreFacts:
    head, _, store = done.expect(
        "The guest's policy store cannot be read.", hint="Run `selab doctor`."
    ).text.partition("\nstore\n")
    said = dict(line.split(maxsplit=1) for line in head.splitlines() if " " in line.strip())
    try:
        policyvers, mls = int(said["policyvers"]), said["mls"].strip() == "1"
        selinux_type, lines = said["type"], [line.split(maxsplit=1) for line in store.splitlines()[1:]]
        fingerprint = _fingerprint({path: digest for digest, path in lines}, without)
        if not _TYPE_NAME.fullmatch(selinux_type):
            raise ValueError("a name that make would expand")
    except (KeyError, ValueError) as error:
        raise SelabError(
            "The guest did not say which policy store it has.",
            f"It said: {done.text[:100]!r}",
            "Run `selab doctor`.",
        ) from error
    return StoreFacts(
        selinux_type,
        policyvers,
        mls,
        said.get("expand", "1").strip() == "1",
        fingerprint,
        said.get("dontaudit") != "off",
        without,
        said.get("signature", ""),
    )


def _fingerprint(store: dict[str, str], without: Collection[str]) -> str:
    """Of the modules in force and the local changes: `store` has the digest of each file, by its path in the active store."""
    if not store:
        raise ValueError("an empty store")
    best = _in_force(store, without)
    parts = [f"{name} {priority} {store[path]}" for name, (priority, path) in sorted(best.items())]
    parts += [f"{path} {digest}" for path, digest in sorted(store.items()) if path.endswith(".local")]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _in_force(paths: Iterable[str], without: Collection[str]) -> dict[str, tuple[int, str]]:
    """Priority and path of each module that is in force, by name: not named in modules/disabled, and no other priority of it is higher
    (semanage.conf(5), semodule(8))."""
    best: dict[str, tuple[int, str]] = {}
    disabled: set[str] = set(without)
    for path in paths:
        if found := _MODULE.fullmatch(path):
            where, name = found.groups()
            if where == "disabled":
                disabled.add(name)
            elif path.endswith("/cil") and int(where) >= best.get(name, (0, ""))[0]:
                best[name] = (int(where), path)
    return {name: found for name, found in best.items() if name not in disabled}


def ensure_base(
    guest: Guest, facts: StoreFacts, tools: Toolchain, cache: Path, progress: Progress
) -> BasePolicy:
    """The base policy with the fingerprint of `facts`: from the cache, or read from the guest and flattened with `tools`."""
    directory = _directory(facts.fingerprint, cache)
    told = _told(directory)
    if not told:
        with alone(
            cache / "locks" / f"read-{directory.name}",
            READ_TIMEOUT + RESOLVE_TIMEOUT,
            "reading a guest's base policy",
            progress,
        ):
            if not _told(directory):
                _read(guest, facts, tools, cache, progress)
        told = _told(directory)
    if not told:
        raise SelabError("The guest's policy store changed while it was read.", hint="Run again.")
    keep_facts(facts, directory / FACTS)
    return _base(directory, facts, told)


def _read(guest: Guest, facts: StoreFacts, tools: Toolchain, cache: Path, progress: Progress) -> None:
    with progress.step("Reading the guest's base policy and flattening it (once per base policy)", "base"):
        done = guest.run(["sh", "-c", _READ, "sh", facts.selinux_type], timeout=READ_TIMEOUT)
        archive = done.expect("The guest's policy could not be copied.").stdout
        keep_base(
            archive, facts.selinux_type, tools, cache, facts.without, newer=Toolchain(guest, GUEST_WORKDIR)
        )


def known_base(fingerprint: str, cache: Path, own: Path | None = None) -> BasePolicy | None:
    """The base policy with that fingerprint out of the cache, without a guest.

    Its facts are those in the file `own`, where `keep_facts` has written what a project's guest says, or else those of the last guest of
    any project that had it.
    """
    directory = _directory(fingerprint, cache)
    told = _told(directory)
    kept = (_facts_at(path) for path in (own, directory / FACTS) if path)
    facts = next((each for each in kept if each and each.fingerprint == fingerprint), None)
    return _base(directory, facts, told) if facts and told else None


def keep_facts(facts: StoreFacts, path: Path) -> None:
    """Write down what a guest has said of its policy store."""
    if _facts_at(path) != facts:
        write_json(path, asdict(facts))


def newest_base(cache: Path) -> BasePolicy | None:
    """The base policy that a guest of any project has had last, out of the cache."""
    there = sorted(
        (cache / "bases").glob(f"*-v{FORMAT}/{FACTS}"), key=lambda path: path.stat().st_mtime, reverse=True
    )
    known = ((path.parent, _facts_at(path), _told(path.parent)) for path in there)
    return next((_base(place, facts, told) for place, facts, told in known if facts and told), None)


def keep_base(
    archive: bytes,
    selinux_type: str,
    tools: Toolchain,
    cache: Path,
    without: Collection[str] = (),
    *,
    newer: Toolchain | None = None,
) -> None:
    """Flatten the policy in `archive`, a tar of a file system's policy store, headers and contexts, and keep it in the cache. `newer` are
    the tools to take where those of the host are too old for what the store says."""
    (cache / "bases").mkdir(parents=True, exist_ok=True)
    half = Path(tempfile.mkdtemp(prefix=".half-", dir=cache / "bases"))
    try:
        store = _unpack(archive, selinux_type, half)
        directory = _directory(
            _fingerprint({path: hashlib.sha256(data).hexdigest() for path, data in store.items()}, without),
            cache,
        )
        modules = {name: _decompressed(store[path]) for name, (_, path) in _in_force(store, without).items()}
        local = local_modifications({path: data for path, data in store.items() if path.endswith(".local")})
        kept = {name: local.applied(cil) for name, cil in without_repeated_roles(sorted(modules.items()))} | {
            LOCAL: local.cil
        }
        (half / "cil").mkdir()
        for name, cil in kept.items():
            (half / "cil" / f"{name}.cil").write_text(cil)
        denies = any(_DENY.search(cil) for cil in kept.values())
        if newer and tools.on_host and missing_on_host(Demands(denies)):
            tools = newer
        (half / "flat.cil").write_text(flatten(_resolve("".join(kept.values()), tools)))
        told = {
            "dangling": sorted(dangling_names(modules.values())),
            "left_out": local.left_out,
            "denies": denies,
            "sizes": _sizes(half),
        }
        write_json(half / "base.json", told)
        half.chmod(0o755)
        with alone(cache / "locks" / f"keep-{directory.name}", SWAP_LIMIT, "keeping a base policy"):
            if not _told(directory):  # else somebody has kept the same meanwhile, and uses it
                shutil.rmtree(directory, ignore_errors=True)
                half.rename(directory)
    finally:
        shutil.rmtree(half, ignore_errors=True)


def _directory(fingerprint: str, cache: Path) -> Path:
    return cache / "bases" / f"{fingerprint[:16]}-v{FORMAT}"


def _base(directory: Path, facts: StoreFacts, told: Mapping[str, Any]) -> BasePolicy:
    return BasePolicy(
        facts, directory, frozenset(told["dangling"]), tuple(told["left_out"]), bool(told.get("denies"))
    )


def _facts_at(path: Path) -> StoreFacts | None:
    """What `keep_facts` has written there."""
    told = read_json(path)
    try:
        return StoreFacts(**{**told, "without": tuple(told["without"])})
    except (KeyError, TypeError):
        return None


def _sizes(directory: Path) -> dict[str, int]:
    """The bytes of each file that a policy is linked with."""
    return {
        path.relative_to(directory).as_posix(): path.stat().st_size
        for path in (directory / "flat.cil", *directory.glob("cil/*"))
    }


def _told(directory: Path) -> dict[str, Any]:
    """What is written beside a base policy; nothing where there is none, or its files have not the sizes that they were written with."""
    told = read_json(directory / "base.json")
    whole = (
        {"dangling", "left_out"} <= told.keys()
        and (directory / "flat.cil").exists()
        and told.get("sizes") == _sizes(directory)
    )
    return told if whole else {}


def _resolve(cil: str, tools: Toolchain) -> str:
    """What secil2tree makes of the whole store's CIL."""
    source = f"{tools.workdir}/store.cil"
    tools.where.put(cil.encode(), source)
    done = tools.where.run(["secil2tree", source], timeout=RESOLVE_TIMEOUT)
    tools.where.run(["rm", "-f", source])
    return done.expect("The base policy cannot be resolved.").stdout.decode()


def _unpack(archive: bytes, selinux_type: str, directory: Path) -> dict[str, bytes]:
    """Unpack headers and contexts into `directory`; return the files that say what is in the store, by their path in it."""
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
    """Keep the headers as devel/..., the contexts as contexts/...."""
    for pattern in (r"usr/share/selinux/(devel/.*)", r"etc/selinux/[^/]+/(contexts/.*)"):
        if found := re.fullmatch(pattern, name):
            path = (directory / found.group(1)).resolve()
            if path.is_relative_to(directory.resolve()):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(_content(tar, member))
            return


def _decompressed(data: bytes) -> str:
    """A module's CIL is kept with bzip2 or plain, as semanage.conf's bzip-blocksize says."""
    return (bz2.decompress(data) if data.startswith(b"BZh") else data).decode("utf-8")
