"""This machine as a place to run commands in."""

from __future__ import annotations

from pathlib import Path

import pytest

from selab.errors import CommandFailed, Unreachable
from selab.host.local import LocalHost


@pytest.mark.parametrize(
    ("script", "code", "out", "err"), [("cat", 0, b"in", b""), ("echo no >&2; exit 3", 3, b"", b"no\n")]
)
def test_a_command_has_its_own_input_and_streams(script: str, code: int, out: bytes, err: bytes) -> None:
    done = LocalHost().run(["sh", "-c", script], input=b"in")
    assert (done.returncode, done.stdout, done.stderr) == (code, out, err)


def test_a_program_that_is_not_installed_ends_with_127() -> None:
    assert LocalHost().run(["selab-has-no-such-program"]).returncode == 127


def test_a_command_that_outlives_its_limit_is_an_error() -> None:
    with pytest.raises(Unreachable, match="sleep"):
        LocalHost().run(["sleep", "60"], timeout=0.1)


def test_a_file_is_put_whole_with_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "below" / "file"
    LocalHost().put(b"\xff\n", str(path), mode=0o600)
    assert (LocalHost().get(str(path)), path.stat().st_mode & 0o777) == (b"\xff\n", 0o600)
    assert list(path.parent.iterdir()) == [path]


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="nothing"):
        LocalHost().get(str(tmp_path / "nothing"))
