"""A file that is not what `selab base export` wrote is refused with three lines, whatever is in it."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import tarfile
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selab.errors import InputError
from selab.policy import portable_file
from selab.policy.portable import export
from selab.policy.portable_file import MANIFEST, VERSION, read, read_file, sealed
from selab.policy.store_archive import MAX_TEMPLATE_BYTES, MAX_TEMPLATES
from selab.policy.toolchain import Toolchain
from tests.unit.policy.store import Resolver, archive, in_cache


@functools.cache
def exported() -> bytes:
    with tempfile.TemporaryDirectory() as cache:
        return export(in_cache(Path(cache), Toolchain(Resolver(), "/work"), system="Debian 13"))


@functools.cache
def contents() -> tuple[dict[str, Any], dict[str, bytes]]:
    """The manifest and the files of a valid file."""
    whole = read(exported(), "file")
    return json.loads(whole.manifest.text()), dict(whole.files)


def with_files(files: dict[str, bytes]) -> bytes:
    """A file whose manifest lists these files."""
    listed = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    return sealed(archive({MANIFEST: json.dumps({**contents()[0], "files": listed}).encode(), **files}))


def with_member(member: tarfile.TarInfo) -> bytes:
    """A file with one member more."""
    manifest, files = contents()
    out = io.BytesIO(archive({MANIFEST: json.dumps(manifest).encode(), **files}))
    with tarfile.open(fileobj=out, mode="a") as tar:
        tar.addfile(member, io.BytesIO(b"\0" * member.size))
    return sealed(out.getvalue())


def refusal(data: bytes) -> InputError:
    with pytest.raises(InputError) as caught:
        read(data, "x.selab-base")
    assert all((caught.value.what, caught.value.detail, caught.value.hint))
    return caught.value


def test_the_helpers_of_these_tests_make_valid_files() -> None:
    assert read(with_files(contents()[1]), "file") == read(exported(), "file")


@given(st.data())
def test_a_truncated_file_is_refused(data: st.DataObject) -> None:
    size = data.draw(st.integers(0, len(exported()) - 1))
    refusal(exported()[:size])


def test_a_file_that_lacks_its_last_byte_is_reported_as_truncated() -> None:
    assert "truncated" in refusal(exported()[:-1]).what


@given(st.data())
def test_a_file_with_a_changed_byte_is_refused(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(exported()) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != exported()[place]))
    refusal(exported()[:place] + bytes([byte]) + exported()[place + 1 :])


def test_a_file_with_more_after_its_end_is_refused() -> None:
    assert "changed" in refusal(exported() + b"\n").what


@pytest.mark.parametrize("version", ["1.5", "0.6", f"{VERSION}0", "9999.9999"])
def test_a_file_of_another_format_is_refused(version: str) -> None:
    error = refusal(exported().replace(VERSION.encode(), version.encode(), 1))
    assert version in error.detail and VERSION in error.detail


@pytest.mark.parametrize("data", [b"", b"selab-base", b"x" * 500, b"selab-base 1.6 1 " + b"A" * 64 + b"\n"])
def test_another_file_is_refused(data: bytes) -> None:
    assert "no exported base policy" in refusal(data).what


KINDS = {
    "a symbolic link": tarfile.SYMTYPE,
    "a hard link": tarfile.LNKTYPE,
    "a character device": tarfile.CHRTYPE,
    "a block device": tarfile.BLKTYPE,
    "a pipe": tarfile.FIFOTYPE,
    "a directory": tarfile.DIRTYPE,
    "a contiguous file": tarfile.CONTTYPE,
    "an unknown kind": b"Z",
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("target", ["", "/etc/passwd"])
def test_what_is_no_plain_file_is_refused(kind: str, target: str) -> None:
    member = tarfile.TarInfo("devel/made")
    member.type, member.linkname = KINDS[kind], target
    assert "no plain file" in refusal(with_member(member)).detail


def test_a_file_with_a_target_is_refused() -> None:
    member = tarfile.TarInfo("devel/made")
    member.linkname = "/etc/passwd"
    assert "no plain file" in refusal(with_member(member)).detail


def test_a_sparse_file_is_refused() -> None:
    """It could have terabytes. An extended header describes it, so that its type is that of a plain file."""
    member = tarfile.TarInfo("devel/made")
    member.pax_headers = {"GNU.sparse.map": "0,1", "GNU.sparse.size": str(2**50)}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(member)
    assert "no plain file" in refusal(sealed(out.getvalue())).detail


@pytest.mark.parametrize(
    "name",
    [
        "../made",
        "devel/../../made",
        "devel/..",
        "devel/./made",
        "devel//made",
        "/devel/made",
        "/etc/passwd",
        "devel",
        "devel/",
        "cil",
        "cil/a",
        "cil/a/b.cil",
        "made",
        "base.json",
        "facts.json",
        "interfaces.json",
        "definitions-v1.m4f",
        "definitions-v1.m4f.sha256",
        "flat.cil/made",
        "devel\\made",
        "devel/a\nb",
        "devel/a\x1bb",
        "devel/ä",
        "devel/" + "a/" * 7 + "a",
        "devel/" + "a" * 200,
        "templates",
        "templates/a.te",
        "templates/.a.cil",
        "templates/a b.cil",
        "templates/a/b.cil",
        "templates/" + "a" * 101 + ".cil",
    ],
)
def test_a_file_with_another_name_than_a_base_policy_has_is_refused(name: str) -> None:
    assert "contains" in refusal(with_files({**contents()[1], name: b"x"})).detail


@pytest.mark.parametrize("name", ["flat.cil", MANIFEST])
def test_a_file_that_is_twice_in_it_is_refused(name: str) -> None:
    assert "twice" in refusal(with_member(tarfile.TarInfo(name))).detail


def test_a_file_that_is_also_a_directory_is_refused() -> None:
    files = {**contents()[1], "devel/a": b"", "devel/a/b": b""}
    assert "also a directory" in refusal(with_files(files)).detail


@pytest.mark.parametrize(
    ("limit", "value"),
    [("MAX_MEMBERS", 2), ("MAX_MEMBER", 100), ("MAX_UNPACKED", 9000), ("MAX_FILE", 900)],
)
def test_a_file_beyond_a_limit_is_refused(limit: str, value: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data = exported()
    monkeypatch.setattr(portable_file, limit, value)
    refusal(data)


@pytest.mark.parametrize("limit", ["MAX_UNPACKED", "MAX_FILE", "MAX_MEMBERS", "MAX_MEMBER"])
def test_a_file_at_a_limit_is_imported(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest, files = contents()
    text = read(exported(), "file").manifest.text()
    sizes = {
        "MAX_UNPACKED": len(zlib.decompress(exported().partition(b"\n")[2], wbits=31)),
        "MAX_FILE": len(exported()),
        "MAX_MEMBERS": len(files),
        "MAX_MEMBER": max(len(text), *map(len, files.values())),
    }
    monkeypatch.setattr(portable_file, limit, sizes[limit])
    assert read(exported(), "file").files == files
    monkeypatch.setattr(portable_file, limit, sizes[limit] - 1)
    refusal(exported())


def test_a_file_is_not_read_beyond_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portable_file, "MAX_FILE", 10)
    (tmp_path / "file").write_bytes(b"x" * 100)
    with pytest.raises(InputError, match="too large"):
        read_file(tmp_path / "file")


def test_a_huge_content_is_refused_before_it_is_decompressed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portable_file, "MAX_UNPACKED", 1 << 16)
    assert "more than" in refusal(sealed(b"\0" * (1 << 24))).detail


Change = Callable[[dict[str, bytes]], dict[str, bytes]]
CHANGES: dict[str, Change] = {
    "a file is missing": lambda files: {name: data for name, data in files.items() if "lxc" not in name},
    "a file is new": lambda files: {**files, "devel/made": b""},
    "a file is changed": lambda files: {**files, "flat.cil": files["flat.cil"] + b"(type evil_t)\n"},
    "a name is changed": lambda files: {name.replace("web", "new"): data for name, data in files.items()},
}


@pytest.mark.parametrize("change", CHANGES)
def test_files_that_the_manifest_does_not_list_are_refused(change: str) -> None:
    manifest, files = contents()
    data = sealed(archive({MANIFEST: json.dumps(manifest).encode(), **CHANGES[change](files)}))
    assert "manifest" in refusal(data).detail


@pytest.mark.parametrize("name", ["flat.cil", "cil/web.cil", "templates/net_container.cil"])
def test_cil_that_is_not_text_is_refused(name: str) -> None:
    assert name in refusal(with_files({**contents()[1], name: b"\xff"})).detail


@pytest.mark.parametrize(
    "templates",
    [{f"t{number}": b"" for number in range(MAX_TEMPLATES)}, {"a": b"x" * MAX_TEMPLATE_BYTES}],
)
def test_a_file_with_more_templates_than_selab_reads_is_refused(templates: dict[str, bytes]) -> None:
    """There is one in it already."""
    files = {f"templates/{name}.cil": text for name, text in templates.items()}
    assert "templates" in refusal(with_files({**contents()[1], **files})).detail


@pytest.mark.parametrize("part", ["flat.cil", "cil/"])
def test_a_file_without_a_policy_is_refused(part: str) -> None:
    files = {name: data for name, data in contents()[1].items() if not name.startswith(part)}
    assert "no base policy" in refusal(with_files(files)).detail


def test_a_file_that_begins_with_another_member_is_refused() -> None:
    manifest, files = contents()
    assert MANIFEST in refusal(sealed(archive({**files, MANIFEST: json.dumps(manifest).encode()}))).detail


WRONG: list[dict[str, Any]] = [
    {"selinux_type": "a b"},
    {"selinux_type": "$(x)"},
    {"selinux_type": ""},
    {"selinux_type": "test\n"},
    {"policyvers": "33"},
    {"policyvers": 0},
    {"policyvers": 10**9},
    {"policyvers": True},
    {"mls": 1},
    {"expand_check": None},
    {"dontaudit": "no"},
    {"denies": []},
    {"limits_ioctl": {}},
    {"fingerprint": "f" * 63},
    {"fingerprint": "../" + "f" * 61},
    {"fingerprint": "F" * 64},
    {"system": "a" * 101},
    {"system": "a\x1b[2J"},
    {"system": "\u202e"},
    {"dangling": "a_t"},
    {"dangling": [1]},
    {"dangling": ["a b"]},
    {"left_out": ["a\n"]},
    {"files": []},
    {"files": {"flat.cil": "x"}},
    {"imported": ""},
    {"directory": "/etc"},
]


@pytest.mark.parametrize("fields", WRONG, ids=str)
def test_a_manifest_with_an_invalid_field_is_refused(fields: dict[str, Any]) -> None:
    manifest, files = contents()
    data = sealed(archive({MANIFEST: json.dumps({**manifest, **fields}).encode(), **files}))
    assert next(iter(fields)) in refusal(data).detail


@pytest.mark.parametrize("field", list(portable_file.Manifest.model_fields))
def test_a_manifest_without_a_field_is_refused(field: str) -> None:
    manifest, files = contents()
    text = json.dumps({name: value for name, value in manifest.items() if name != field})
    assert field in refusal(sealed(archive({MANIFEST: text.encode(), **files}))).detail


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"{", b"\xff", b"[" * 100_000, b'{"policyvers": ' + b"9" * 9000]
)
def test_a_manifest_that_is_no_object_is_refused(text: bytes) -> None:
    refusal(sealed(archive({MANIFEST: text, **contents()[1]})))


@pytest.mark.parametrize("rest", [b"", b"no gzip", zlib.compress(b"x")])
def test_what_is_not_compressed_with_gzip_is_refused(rest: bytes) -> None:
    header = f"selab-base {VERSION} {len(rest)} {hashlib.sha256(rest).hexdigest()}\n".encode()
    refusal(header + rest)


@pytest.mark.parametrize(
    "change", [lambda rest: rest + rest, lambda rest: rest[:-4], lambda rest: rest + b"x"]
)
def test_a_rest_that_is_not_one_compressed_archive_is_refused(change: Callable[[bytes], bytes]) -> None:
    rest = change(exported().partition(b"\n")[2])
    header = f"selab-base {VERSION} {len(rest)} {hashlib.sha256(rest).hexdigest()}\n".encode()
    refusal(header + rest)


BLOCK = 512


@functools.cache
def headers() -> tuple[bytes, list[int]]:
    """The archive of a valid file, and the offsets of its members' headers."""
    tar = zlib.decompress(exported().partition(b"\n")[2], wbits=31)
    return tar, [at for at in range(0, len(tar), BLOCK) if tar[at + 257 : at + 262] == b"ustar"]


def with_checksum(header: bytes) -> bytes:
    """The header of a member with the checksum that it must have."""
    blank = header[:148] + b" " * 8 + header[156:]
    return blank[:148] + f"{sum(blank):06o}\0 ".encode() + blank[156:]


@given(st.data())
def test_an_archive_with_changed_headers_is_refused_or_has_the_same_content(data: st.DataObject) -> None:
    """The digest and the checksums are right, as in a file that was made to do harm."""
    tar, places = bytearray(headers()[0]), headers()[1]
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.sampled_from(places))
        header = bytearray(tar[start : start + BLOCK])
        at = data.draw(st.integers(0, BLOCK - 1) | st.sampled_from([124, 156]))  # the size, the kind
        header[at] = data.draw(st.integers(0, 255) | st.sampled_from(b"LKxgSVD0127"))
        tar[start : start + BLOCK] = with_checksum(bytes(header))
    try:
        assert read(sealed(bytes(tar)), "file") == read(exported(), "file")
    except InputError as error:
        assert all((error.what, error.detail, error.hint))


@pytest.mark.parametrize("kind", b"LKxgSV")
@pytest.mark.parametrize("size", [b"\xff" * 12, b"\x80" + b"\xff" * 11, b"77777777777\0", b"-0000000001\0"])
def test_a_member_with_an_impossible_size_is_refused(kind: int, size: bytes) -> None:
    """Some versions of Python do not stop reading such an archive."""
    tar = headers()[0]
    second = headers()[1][1]
    header = bytearray(tar[second : second + BLOCK])
    header[124:136], header[156] = size, kind
    refusal(sealed(tar[:second] + with_checksum(bytes(header)) + tar[second + BLOCK :]))


@given(st.binary(max_size=2000))
def test_any_bytes_are_refused(data: bytes) -> None:
    refusal(data)
    refusal(sealed(data))
    refusal(sealed(archive({MANIFEST: data})))
