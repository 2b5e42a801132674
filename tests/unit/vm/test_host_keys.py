"""Host keys: the pinned one, and those of the user's known_hosts files."""

from __future__ import annotations

import os
from pathlib import Path

import paramiko
import pytest

from selab.vm.host_keys import HOST_ALIAS, MAX_PINNED, known_key, known_name, pin, pin_text, pinned_key

ECDSA = paramiko.ECDSAKey.generate()
OTHER = paramiko.ECDSAKey.generate()
RSA = paramiko.RSAKey.generate(1024)


def line(name: str, key: paramiko.PKey) -> str:
    return f"{name} {key.get_name()} {key.get_base64()}\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "known_hosts"


def test_a_pinned_key_is_read_back(file: Path) -> None:
    pin(file, ECDSA)
    assert file.read_text() == line(HOST_ALIAS, ECDSA)
    assert pinned_key(file) == ECDSA


def test_pinning_replaces_the_key_and_leaves_no_other_file(file: Path) -> None:
    pin(file, OTHER)
    pin_text(file, f"{ECDSA.get_name()} {ECDSA.get_base64()} root@guest\n")
    assert pinned_key(file) == ECDSA
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("text", [None, "", "garbage", f"{HOST_ALIAS} ssh-ed25519 AAAA", "a b c"])
def test_a_file_without_a_valid_key_pins_none(file: Path, text: str | None) -> None:
    if text is not None:
        file.write_text(text)
    assert pinned_key(file) is None


@pytest.mark.parametrize(("port", "name"), [(22, "lab"), (2222, "[lab]:2222")])
def test_the_name_includes_the_port_unless_it_is_the_standard_one(port: int, name: str) -> None:
    assert known_name("lab", port) == name


def test_the_key_of_another_port_is_not_the_servers(file: Path) -> None:
    file.write_text(line("lab", OTHER) + line("[lab]:2222", ECDSA))
    assert known_key([file], known_name("lab", 2222)) == ECDSA
    assert known_key([file], known_name("lab", 2223)) is None


@pytest.mark.parametrize("order", [1, -1])
def test_the_best_type_of_key_counts_in_any_order(file: Path, order: int) -> None:
    file.write_text("".join([line("lab", RSA), line("lab", ECDSA)][::order]))
    assert known_key([file], "lab") == ECDSA


def test_the_first_file_with_a_key_counts(file: Path) -> None:
    second, third = file.with_name("second"), file.with_name("third")
    file.write_text(line("other", RSA))
    second.write_text(line("lab", RSA))
    third.write_text(line("lab", ECDSA))
    assert known_key([file, second, third], "lab") == RSA


@pytest.mark.parametrize("mark", ["@revoked ", "@cert-authority ", "# "])
def test_a_line_that_is_no_plain_key_is_skipped(file: Path, mark: str) -> None:
    file.write_text(mark + line("lab", OTHER))
    assert known_key([file], "lab") is None
    file.write_text(mark + line("lab", OTHER) + "lab ssh-ed25519 nonsense\n" + line("lab", ECDSA))
    assert known_key([file], "lab") == ECDSA


def test_a_link_to_a_key_pins_none(file: Path, tmp_path: Path) -> None:
    """A repository can contain the link, and selab writes none in `.selab`, where the file of a host is."""
    pin(tmp_path / "other", paramiko.ECDSAKey.generate())
    file.symlink_to(tmp_path / "other")
    assert pinned_key(file) is None


def test_a_pipe_pins_no_key(file: Path) -> None:
    """To read it would wait forever."""
    os.mkfifo(file)
    assert pinned_key(file) is None


def test_no_more_of_the_pinned_key_is_read_than_the_limit(file: Path) -> None:
    file.write_text(" " * MAX_PINNED + line(HOST_ALIAS, ECDSA))
    assert pinned_key(file) is None
    file.write_text(line(HOST_ALIAS, ECDSA) + " " * MAX_PINNED)
    assert pinned_key(file) == ECDSA


def test_a_pinned_key_is_private_and_without_its_comment(file: Path) -> None:
    pin_text(file, f"{ECDSA.get_name()} {ECDSA.get_base64()} root@guest")
    assert file.read_text() == line(HOST_ALIAS, ECDSA)
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "other", [b"", b"  ", b"\xff \xff", b"lab"], ids=["empty", "blank", "no text", "short"]
)
def test_a_line_that_cannot_be_read_hides_no_other(file: Path, other: bytes) -> None:
    file.write_bytes(other + b"\n" + line("lab", ECDSA).encode() + other + b"\n")
    assert known_key([file], "lab") == ECDSA


def test_a_line_may_name_several_hosts(file: Path) -> None:
    file.write_text(line("lab,lab.test,[lab]:2222", ECDSA))
    assert [known_key([file], name) for name in ("lab", "lab.test", "[lab]:2222")] == [ECDSA] * 3


def test_a_file_that_does_not_exist_hides_no_other(file: Path) -> None:
    file.write_text(line("lab", ECDSA))
    assert known_key([file.with_name("none"), file], "lab") == ECDSA
    assert known_key([], "lab") is None
