"""Unpack the archive of a guest's policy store, headers and contexts, which is foreign input."""

from __future__ import annotations

import bz2
import io
import re
import tarfile
from pathlib import Path

from selab.errors import SelabError
from selab.policy.survey import CONTEXT_FILES, MODULE_FILE

FILE_CONTEXTS = "files/file_contexts"
"""What selab uses of contexts/ for its order only, because the modules declare its lines."""


def unpack(archive: bytes, selinux_type: str, directory: Path) -> dict[str, bytes]:
    """Unpack headers and contexts into `directory`, and return the store's own files by their path in it."""
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            return _unpack_members(tar, f"var/lib/selinux/{selinux_type}/active/", directory)
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise SelabError(
            "The guest's policy could not be unpacked.", str(error)[:200], "Run `selab doctor`."
        ) from error


def _unpack_members(tar: tarfile.TarFile, active: str, directory: Path) -> dict[str, bytes]:
    store: dict[str, bytes] = {}
    for member in tar:
        if not member.isfile():
            continue
        path = member.name.removeprefix("./").removeprefix(active)
        if MODULE_FILE.fullmatch(path) or re.fullmatch(r"\w+\.local", path):
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


def decompressed(data: bytes) -> str:
    """Decode a module's CIL: compressed with bzip2 or plain, as semanage.conf's bzip-blocksize says."""
    return (bz2.decompress(data) if data.startswith(b"BZh") else data).decode("utf-8")
