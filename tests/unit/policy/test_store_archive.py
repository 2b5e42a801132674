"""What comes out of a guest is data: only plain files at the expected places are unpacked."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from selab.errors import SelabError
from selab.policy.base import keep_base
from selab.policy.store_archive import MAX_TEMPLATE_BYTES, MAX_TEMPLATES, unpack
from selab.policy.toolchain import Toolchain
from tests.unit.policy.store import FILES, archive, made


def kinds() -> dict[str, tarfile.TarInfo]:
    """Members of a tar that are no plain files below the headers, by what is wrong with them."""
    names = {
        "above": "usr/share/selinux/devel/../../../made",
        "selab's own": "usr/share/selinux/devel/../definitions-v1.m4f",
        "selab's own, by the contexts": "etc/selinux/test/contexts/../interfaces.json",
        "absolute": "/usr/share/selinux/devel/made",
        "elsewhere": "etc/cron.d/made",
        "above, by the templates": "usr/share/udica/templates/../made.cil",
        "below the templates": "usr/share/udica/templates/below/made.cil",
        "no CIL": "usr/share/udica/templates/made.te",
        "no module's name": "usr/share/udica/templates/.made.cil",
        "in no ASCII": "usr/share/udica/templates/m\xe4de.cil",
        "with a line break": "usr/share/udica/templates/made\n.cil",
        "too long": f"usr/share/udica/templates/{'m' * 101}.cil",
    }
    members = {kind: tarfile.TarInfo(name) for kind, name in names.items()}
    for kind, number in (
        ("a link", tarfile.SYMTYPE),
        ("a hard link", tarfile.LNKTYPE),
        ("a device", tarfile.CHRTYPE),
        ("a pipe", tarfile.FIFOTYPE),
    ):
        members[kind] = tarfile.TarInfo("usr/share/selinux/devel/made")
        members[kind].type, members[kind].linkname = number, "/etc/passwd"
        template = members[f"{kind} as a template"] = tarfile.TarInfo("usr/share/udica/templates/made.cil")
        template.type, template.linkname = number, "/etc/passwd"
    return members


@pytest.mark.parametrize("kind", kinds())
def test_only_plain_files_below_the_headers_and_contexts_are_unpacked(
    tmp_path: Path, flattener: Toolchain, kind: str
) -> None:
    out = io.BytesIO(archive(FILES))
    with tarfile.open(fileobj=out, mode="a") as tar:
        tar.addfile(kinds()[kind], io.BytesIO())
    expected = made(tmp_path / "plain", flattener).directory
    keep_base(out.getvalue(), "test", flattener, tmp_path / "hostile")
    (directory,) = (tmp_path / "hostile" / "bases").iterdir()
    assert {path.relative_to(directory) for path in directory.rglob("*")} == {
        path.relative_to(expected) for path in expected.rglob("*")
    }
    assert sorted(path.name for path in (tmp_path / "hostile").iterdir()) == ["bases", "locks"]


@pytest.mark.parametrize(
    "data",
    [
        b"no tar",
        archive(FILES)[:700],
        archive({"usr/share/selinux/devel/a": b"", "usr/share/selinux/devel/a/b": b""}),
    ],
)
def test_an_archive_that_cannot_be_unpacked_is_an_error(
    tmp_path: Path, flattener: Toolchain, data: bytes
) -> None:
    with pytest.raises(SelabError, match="could not be unpacked"):
        keep_base(data, "test", flattener, tmp_path)


def unpacked(directory: Path, templates: dict[str, bytes]) -> list[str]:
    """The templates that are unpacked of these, by their names."""
    unpack(
        archive({f"usr/share/udica/templates/{name}.cil": text for name, text in templates.items()}),
        "test",
        directory,
    )
    return sorted(path.stem for path in (directory / "templates").iterdir())


def test_as_many_templates_as_the_limit_says_are_unpacked(tmp_path: Path) -> None:
    names = [f"t{number}" for number in range(MAX_TEMPLATES)]
    assert unpacked(tmp_path, dict.fromkeys(names, b"x")) == sorted(names)


@pytest.mark.parametrize(
    "templates",
    [
        {f"t{number}": b"" for number in range(MAX_TEMPLATES + 1)},
        {"a": b"x" * MAX_TEMPLATE_BYTES, "b": b"y"},
    ],
)
def test_more_templates_than_that_are_an_error(tmp_path: Path, templates: dict[str, bytes]) -> None:
    with pytest.raises(SelabError, match="too many templates") as caught:
        unpacked(tmp_path, templates)
    assert "/usr/share/udica/templates" in caught.value.detail
