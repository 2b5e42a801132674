"""The base policy: what the guest has without the candidate, read once and kept as a flat base under its fingerprint."""

from __future__ import annotations

import bz2
import io
import json
import re
import shutil
import tarfile
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from selab.errors import SelabError
from selab.guest import Guest
from selab.policy.flat import dangling_names, flatten, without_repeated_roles
from selab.policy.toolchain import Toolchain
from selab.progress import Progress

FORMAT = 1
"""Part of every cache key here: raise it when what is kept under it changes its meaning."""
READ_TIMEOUT = 300.0
"""Seconds to read the module store and the headers (about 15 MB): ten in an emulated guest, more over a slow line."""
RESOLVE_TIMEOUT = 600.0
"""Seconds for secil2tree over the whole store: 3 natively, 20 times that in an emulated guest."""

_SURVEY = r"""
type=$(sed -n 's/^SELINUXTYPE=[[:space:]]*//p' /etc/selinux/config | tail -n 1)
cd "/var/lib/selinux/$type/active" || exit 3
echo "type $type"
echo "policyvers $(cat /sys/fs/selinux/policyvers)"
echo "mls $(cat /sys/fs/selinux/mls)"
echo "expand $(sed -n 's/^[[:space:]]*expand-check[[:space:]]*=[[:space:]]*//p' /etc/selinux/semanage.conf | tail -n 1)"
printf 'store '
{
  find modules -type f \( -name cil -o -path 'modules/disabled/*' \) -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
  for local in booleans.local ports.local interfaces.local nodes.local users.local ibpkeys.local ibendports.local; do
    [ -s "$local" ] && sha256sum "$local"
  done
} | sha256sum
"""

_READ = r"""
cd / && tar -cf - "var/lib/selinux/$1/active/modules" $(ls -d var/lib/selinux/"$1"/active/*.local 2>/dev/null) \
  usr/share/selinux/devel $(ls -d "etc/selinux/$1/contexts" 2>/dev/null)
"""


@dataclass(frozen=True)
class StoreFacts:
    """What the guest says of its policy store. `fingerprint` changes with every module, its priority, and every local change."""

    selinux_type: str
    policyvers: int
    mls: bool
    expand_check: bool
    fingerprint: str


@dataclass(frozen=True)
class BasePolicy:
    """A base policy in the cache: `directory` holds flat.cil, the store's CIL in cil/, the development headers in devel/."""

    facts: StoreFacts
    directory: Path
    dangling: frozenset[str]

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


def survey(guest: Guest) -> StoreFacts:
    """Ask the guest which policy store it has; one round trip."""
    done = guest.run(["sh", "-c", _SURVEY]).expect("The guest's policy store cannot be read.", hint="Run `selab doctor`.")
    said = dict(line.split(maxsplit=1) for line in done.text.splitlines() if " " in line.strip())
    try:
        policyvers, mls = int(said["policyvers"]), said["mls"].strip() == "1"
        selinux_type, fingerprint = said["type"], said["store"].split()[0]
    except (KeyError, ValueError, IndexError) as error:
        raise SelabError(
            "The guest did not say which policy store it has.", f"It said: {done.text[:100]!r}", "Run `selab doctor`."
        ) from error
    return StoreFacts(selinux_type, policyvers, mls, said.get("expand", "1").strip() == "1", fingerprint)


def ensure_base(guest: Guest, facts: StoreFacts, tools: Toolchain, cache: Path, progress: Progress) -> BasePolicy:
    """The base policy with the fingerprint of `facts`: from the cache, or read from the guest and flattened with `tools`."""
    directory = cache / "bases" / f"{facts.fingerprint[:16]}-{facts.policyvers}-v{FORMAT}"
    if not (directory / "base.json").exists():
        with progress.step("Reading the guest's base policy and flattening it (once per base policy)", "base"):
            _make(guest, facts, tools, directory)
    return _read(directory)


def known_base(fingerprint: str, cache: Path) -> BasePolicy | None:
    """The base policy with that fingerprint out of the cache, without a guest."""
    found = sorted((cache / "bases").glob(f"{fingerprint[:16]}-*-v{FORMAT}/base.json"))
    return _read(found[-1].parent) if found else None


def _read(directory: Path) -> BasePolicy:
    told = json.loads((directory / "base.json").read_text())
    return BasePolicy(StoreFacts(**told["facts"]), directory, frozenset(told["dangling"]))


def _make(guest: Guest, facts: StoreFacts, tools: Toolchain, directory: Path) -> None:
    directory.parent.mkdir(parents=True, exist_ok=True)
    half = Path(tempfile.mkdtemp(prefix=".half-", dir=directory.parent))
    try:
        done = guest.run(["sh", "-c", _READ, "sh", facts.selinux_type], timeout=READ_TIMEOUT)
        done.expect("The guest's policy could not be copied.")
        modules = _unpack(done.stdout, facts.selinux_type, half)
        (half / "cil").mkdir()
        kept = dict(without_repeated_roles(sorted(modules.items())))
        for name, cil in kept.items():
            (half / "cil" / f"{name}.cil").write_text(cil)
        (half / "flat.cil").write_text(flatten(_resolve("".join(kept.values()), tools)))
        dangling = dangling_names(modules.values())
        (half / "base.json").write_text(json.dumps({"facts": asdict(facts), "dangling": sorted(dangling)}))
        half.chmod(0o755)
        shutil.rmtree(directory, ignore_errors=True)
        half.rename(directory)
    finally:
        shutil.rmtree(half, ignore_errors=True)


def _resolve(cil: str, tools: Toolchain) -> str:
    """What secil2tree makes of the whole store's CIL."""
    source, tree = f"{tools.workdir}/store.cil", f"{tools.workdir}/resolved.cil"
    tools.where.put(cil.encode(), source)
    done = tools.where.run(["secil2tree", "-o", tree, source], timeout=RESOLVE_TIMEOUT)
    done.expect("The base policy cannot be resolved.")
    resolved = tools.where.get(tree).decode()
    tools.where.run(["rm", "-f", source, tree])
    return resolved


def _unpack(archive: bytes, selinux_type: str, directory: Path) -> dict[str, str]:
    """Unpack the headers and contexts into `directory`; return the CIL of each module that is in force.

    A module is in force when it is not named in modules/disabled and no other priority of it is higher (semanage.conf(5), semodule(8)).
    """
    in_store = re.compile(rf"var/lib/selinux/{re.escape(selinux_type)}/active/modules/(disabled|\d+)/([^/]+)(?:/cil)?")
    best: dict[str, tuple[int, bytes]] = {}
    disabled: set[str] = set()
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            if not member.isfile():
                continue
            data = _content(tar, member)
            if found := in_store.fullmatch(member.name):
                where, name = found.groups()
                if where == "disabled":
                    disabled.add(name)
                elif member.name.endswith("/cil") and int(where) >= best.get(name, (0, b""))[0]:
                    best[name] = (int(where), data)
            else:
                _keep(member.name, data, directory)
    return {name: _decompressed(data) for name, (_, data) in best.items() if name not in disabled}


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    return file.read() if file else b""


def _keep(name: str, data: bytes, directory: Path) -> None:
    """Keep the headers as devel/..., the contexts as contexts/..., local changes as local/NAME."""
    for pattern, to in (
        (r"usr/share/selinux/(devel/.*)", ""),
        (r"etc/selinux/[^/]+/(contexts/.*)", ""),
        (r".*/active/([^/]+\.local)", "local/"),
    ):
        if found := re.fullmatch(pattern, name):
            path = (directory / (to + found.group(1))).resolve()
            if path.is_relative_to(directory.resolve()):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            return


def _decompressed(data: bytes) -> str:
    """A module's CIL is kept with bzip2 or plain, as semanage.conf's bzip-blocksize says."""
    return (bz2.decompress(data) if data.startswith(b"BZh") else data).decode("utf-8")
