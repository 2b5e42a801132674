"""Unpack the archive of a guest's policy store, headers, contexts and templates, which is foreign input."""

from __future__ import annotations

import bz2
import io
import re
import tarfile
from collections.abc import Sequence
from pathlib import Path

from selab.errors import SelabError
from selab.policy.survey import CONTEXT_FILES, MODULE_FILE, TEMPLATE_FILE, TEMPLATES

FILE_CONTEXTS = "files/file_contexts"
"""What selab uses of contexts/ for its order only, because the modules declare its lines."""
UDICA_TEMPLATES = "usr/share/udica/templates"
"""The directory with a guest's templates for udica, relative to the root directory."""
MAX_TEMPLATES = 64
"""Templates of a guest. container-selinux has nine."""
MAX_TEMPLATE_BYTES = 1024 * 1024
"""Bytes of all templates of a guest together. Those of container-selinux have 10 KB."""


def unpack(archive: bytes, selinux_type: str, directory: Path) -> dict[str, bytes]:
    """Unpack headers, contexts and templates into `directory`; return the store's own files by their path.

    Raises SelabError if the archive is damaged, or if it has more templates than selab reads.
    """
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
    if problem := too_many_templates([path.stat().st_size for path in (directory / TEMPLATES).glob("*")]):
        raise SelabError(
            "The guest has too many templates for udica.",
            f"/{UDICA_TEMPLATES}: {problem}",
            "Remove from that directory what is no template.",
        )
    return store


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    return file.read() if file else b""


def _keep(name: str, tar: tarfile.TarFile, member: tarfile.TarInfo, directory: Path) -> None:
    """Store the headers as devel/..., what selab uses of contexts/ as contexts/..., and templates/..."""
    contexts = "|".join(map(re.escape, (*CONTEXT_FILES, FILE_CONTEXTS)))
    for pattern in (
        r"usr/share/selinux/(devel/.*)",
        rf"etc/selinux/[^/]+/(contexts/(?:{contexts}))",
        rf"usr/share/udica/({TEMPLATES}/{TEMPLATE_FILE.pattern})",
    ):
        if match := re.fullmatch(pattern, name):
            # A path such as devel/../x would name a file that selab itself makes, and trusts.
            if ".." not in (path := Path(match.group(1))).parts:
                (directory / path).parent.mkdir(parents=True, exist_ok=True)
                (directory / path).write_bytes(_content(tar, member))
            return


def too_many_templates(sizes: Sequence[int]) -> str:
    """Return why selab, which parses all for each policy in CIL, reads no templates of these sizes, or ""."""
    if len(sizes) <= MAX_TEMPLATES and sum(sizes) <= MAX_TEMPLATE_BYTES:
        return ""
    most = f"selab reads {MAX_TEMPLATES} templates with {MAX_TEMPLATE_BYTES >> 20} MiB together."
    return f"There are {len(sizes)} with {sum(sizes)} bytes; {most}"


def decompressed(data: bytes) -> str:
    """Decode a module's CIL: compressed with bzip2 or plain, as semanage.conf's bzip-blocksize says."""
    return (bz2.decompress(data) if data.startswith(b"BZh") else data).decode("utf-8")
