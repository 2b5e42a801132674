"""Write and read the file of an exported base policy.

A file begins with a line `selab-base VERSION SIZE DIGEST`. Size and digest are those of the rest, which is a
tar, compressed with gzip: first manifest.json, then the files that it lists with a digest each.

A file is foreign input. It is read completely before anything is stored. It can contain plain files with safe
names and nothing else.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from selab.errors import InputError, SelabError
from selab.host.private import read_private
from selab.host.yamlfile import first_problem
from selab.policy.base import FORMAT, STORE, USED
from selab.policy.store_archive import too_many_templates
from selab.policy.survey import TEMPLATE_FILE, TEMPLATES, StoreFacts

LAYOUT = 1
"""Raise it if the form of the file changes. Its content changes with FORMAT."""
VERSION = f"{LAYOUT}.{FORMAT}"
MANIFEST = "manifest.json"
FLAT = "flat.cil"
MAX_FILE = 64 * 1024 * 1024
"""Bytes of an exported file. Debian's base policy takes 3 MB."""
MAX_UNPACKED = 256 * 1024 * 1024
"""Bytes of its unpacked content. Debian's base policy takes 42 MB."""
MAX_MEMBER = 64 * 1024 * 1024
"""Bytes of one file in it. The largest is the flat base, with 10 MB."""
MAX_MEMBERS = 10_000
"""Files in it: one per module of the policy and per header, 800 in Debian's base policy."""
MAX_NAME, MAX_DEPTH = 200, 8
"""Bytes of a file's path in it, and the path's parts."""
_HEADER = re.compile(rb"selab-base (\d{1,4}\.\d{1,4}) (\d{1,12}) ([0-9a-f]{64})\n")
_MAX_HEADER = 128
_GZIP = 31
"""zlib's window size for gzip's form, without a name or a time in it."""
_AGAIN = "Copy the exported file again, and compare the digests."
_UNSAFE = "Nothing was imported. Find out who made the file: `selab base export` does not write this."

Name = Annotated[str, Field(pattern=r"^[!-~]{1,256}$")]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Manifest(BaseModel):
    """What manifest.json says about a base policy.

    selinux_type, policyvers, mls, expand_check, dontaudit, fingerprint, system: as in StoreFacts.
    dangling, left_out, denies, limits_ioctl: as in BasePolicy.
    files: digest of each file, by its path.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    selinux_type: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    policyvers: Annotated[int, Field(ge=1, le=999)]
    mls: bool
    expand_check: bool
    dontaudit: bool
    fingerprint: Digest
    system: Annotated[str, Field(pattern=r"^[ -~]{0,100}$")]
    dangling: tuple[Name, ...]
    left_out: tuple[Name, ...]
    denies: bool
    limits_ioctl: bool
    files: dict[str, Digest]

    @property
    def facts(self) -> StoreFacts:
        return StoreFacts(
            self.selinux_type,
            self.policyvers,
            self.mls,
            self.expand_check,
            self.fingerprint,
            self.dontaudit,
            system=self.system,
        )

    def text(self) -> str:
        """Return the manifest in the one form that has its digest."""
        names = {"dangling": sorted({*self.dangling}), "left_out": sorted({*self.left_out})}
        return json.dumps({**self.model_dump(), **names}, sort_keys=True, separators=(",", ":"))

    @property
    def digest(self) -> str:
        """Return the digest of the base policy's whole content, since that of each file is in it."""
        return hashlib.sha256(self.text().encode()).hexdigest()


@dataclass(frozen=True)
class PortableBase:
    """A base policy as a file contains it.

    manifest: what the file says about it.
    files: its files, by their path.
    """

    manifest: Manifest
    files: Mapping[str, bytes]


def pack(portable: PortableBase) -> bytes:
    """Write `portable` in the form of a file, without checking it."""
    out = io.BytesIO()
    files = {MANIFEST: portable.manifest.text().encode(), **portable.files}
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return sealed(out.getvalue())


def sealed(tar: bytes) -> bytes:
    """Return a tar compressed, after a line with its size and digest."""
    compressor = zlib.compressobj(wbits=_GZIP)
    rest = compressor.compress(tar) + compressor.flush()
    return f"selab-base {VERSION} {len(rest)} {hashlib.sha256(rest).hexdigest()}\n".encode() + rest


def read_file(path: Path) -> PortableBase:
    """Read a file that `selab base export` wrote. Raises InputError as `read` does."""
    try:
        data = read_private(path.resolve(), MAX_FILE + 1)
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"{path.name} cannot be read.", str(error), "Check the path.") from error
    except SelabError as error:
        raise InputError(error.what, error.detail, "Name a file that `selab base export` wrote.") from error
    return read(data, path.name)


def read(data: bytes, name: str) -> PortableBase:
    """Read the content of a file `name`, and check all of it.

    Raises InputError if it is truncated, changed, too large, of another version, or if it contains anything
    but the plain files of one base policy.
    """
    if len(data) > MAX_FILE:
        raise InputError(f"{name} is too large.", f"It has more than {MAX_FILE >> 20} MiB.", _UNSAFE)
    manifest_text, files = _unpacked(_decompressed(_rest(data, name), name), name)
    try:
        manifest = Manifest.model_validate_json(manifest_text)
    except ValidationError as error:
        place, problem = first_problem(error)
        raise _refusal(name, f"{MANIFEST}: {place[:100]!r}: {problem[:200]}.") from error
    digests = {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}
    if digests != manifest.files:
        raise _refusal(name, "Its files are not those that its manifest lists.")
    templates = [len(content) for path, content in files.items() if path.startswith(f"{TEMPLATES}/")]
    if problem := too_many_templates(templates):
        raise _refusal(name, problem)
    for path in sorted(files):
        if path.endswith(".cil") and not _is_utf8(files[path]):
            raise _refusal(name, f"It contains CIL that is not UTF-8 text: {path}")
    if FLAT not in files or not any(path.startswith(f"{STORE}/") for path in files):
        raise _refusal(name, "It contains no base policy.")
    return PortableBase(manifest, files)


def _rest(data: bytes, name: str) -> bytes:
    """Return what follows the first line, after a check of its size and digest."""
    header = _HEADER.match(data[:_MAX_HEADER])
    if header is None:
        detail, hint = "It does not begin as such a file does.", "`selab base export` writes such a file."
        raise InputError(f"{name} contains no exported base policy.", detail, hint)
    version, size, digest = header[1].decode(), int(header[2]), header[3].decode()
    if version != VERSION:
        raise InputError(
            f"{name} was exported by another version of selab.",
            f"It has format {version}, and this version reads {VERSION}.",
            "Export it again with the version of selab that imports it.",
        )
    rest = data[header.end() :]
    if len(rest) < size:
        raise InputError(f"{name} is truncated.", f"It has {len(rest)} of {size} bytes.", _AGAIN)
    if len(rest) > size or hashlib.sha256(rest).hexdigest() != digest:
        raise InputError(f"{name} was changed or damaged.", "Its digest differs from the one in it.", _AGAIN)
    return rest


def _decompressed(rest: bytes, name: str) -> bytes:
    inflate = zlib.decompressobj(wbits=_GZIP)
    try:
        data = inflate.decompress(rest, MAX_UNPACKED)
        more = inflate.unconsumed_tail and inflate.decompress(inflate.unconsumed_tail, 1)
    except zlib.error as error:
        raise _refusal(name, f"It cannot be decompressed: {error}") from error
    if more:
        raise _refusal(name, f"It contains more than {MAX_UNPACKED >> 20} MiB.")
    if not inflate.eof or inflate.unused_data:
        raise _refusal(name, "It contains something else than one compressed archive.")
    return data


def _unpacked(archive: bytes, name: str) -> tuple[bytes, dict[str, bytes]]:
    """Return the manifest's text, and the other files by their path."""
    files: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
            for member in tar:
                if problem := _problem(member, files):
                    raise _refusal(name, f"It contains {problem}: {member.name[:100]!r}")
                content = tar.extractfile(member)
                files[member.name] = content.read() if content else b""
                if len(files[member.name]) != member.size:
                    raise _refusal(name, f"It contains an incomplete file: {member.name!r}")
    except (tarfile.TarError, OSError, ValueError, ArithmeticError, LookupError, RecursionError) as error:
        raise _refusal(name, f"It contains no valid archive: {str(error)[:200]}") from error
    if next(iter(files), "") != MANIFEST:
        raise _refusal(name, f"It does not begin with {MANIFEST}.")
    manifest = files.pop(MANIFEST)
    directories = {str(above) for path in files for above in PurePosixPath(path).parents}
    if shared := sorted(files.keys() & directories):
        raise _refusal(name, f"It contains a file that is also a directory: {shared[0]!r}")
    return manifest, files


def _problem(member: tarfile.TarInfo, earlier: Mapping[str, bytes]) -> str:
    """Return what is wrong with a member of the archive, given the earlier ones, or an empty string."""
    if len(earlier) > MAX_MEMBERS:
        return f"more than {MAX_MEMBERS} files"
    if member.type != tarfile.REGTYPE or member.issparse() or member.pax_headers or member.linkname:
        return "something that is no plain file"
    if not 0 <= member.size <= MAX_MEMBER:
        return f"a file with more than {MAX_MEMBER >> 20} MiB"
    if member.name in earlier:
        return "a file twice"
    return "" if _is_expected(member.name) else "a file with an unexpected name"


def _is_expected(name: str) -> bool:
    """Return whether a base policy may have a file `name`, which leads to no other directory."""
    parts = name.split("/")
    if not name.isascii() or not name.isprintable() or len(name) > MAX_NAME or len(parts) > MAX_DEPTH:
        return False
    if {"", ".", ".."} & set(parts) or "\\" in name:
        return False
    if parts[0] == TEMPLATES:
        return len(parts) == 2 and TEMPLATE_FILE.fullmatch(parts[1]) is not None
    if parts[0] == STORE:
        return len(parts) == 2 and name.endswith(".cil")
    return name in (MANIFEST, FLAT) or (parts[0] in USED and parts[0] != FLAT and len(parts) > 1)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _refusal(name: str, detail: str) -> InputError:
    return InputError(f"{name} contains something that selab does not import.", detail, _UNSAFE)
