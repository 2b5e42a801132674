"""The log: what reaches the file, and when it stops."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from selab.cli.logfile import LOGGERS, log_to, log_to_terminal, logging_to


@pytest.fixture(autouse=True)
def settings() -> Iterator[None]:
    """Restore what a log changes beyond its handlers."""
    level, raising = logging.getLogger("selab").level, logging.raiseExceptions
    yield
    logging.getLogger("selab").setLevel(level)
    logging.raiseExceptions = raising


@pytest.mark.parametrize("name", LOGGERS)
def test_the_file_has_what_selab_and_the_ssh_library_say(tmp_path: Path, name: str) -> None:
    log_to(tmp_path / "log")
    logging.getLogger(name).warning("hello %s", "guest")
    assert (tmp_path / "log").read_text().endswith(" WARNING hello guest\n")


def test_the_file_has_each_detail(tmp_path: Path) -> None:
    log_to(tmp_path / "log")
    logging.getLogger("selab").debug("a detail")
    assert "DEBUG a detail" in (tmp_path / "log").read_text()


def test_without_a_line_there_is_no_file(tmp_path: Path) -> None:
    log_to(tmp_path / "log")
    assert not (tmp_path / "log").exists()


def test_a_full_disk_ends_no_command_and_prints_no_traceback(tmp_path: Path) -> None:
    code = (
        "import logging, pathlib, resource, sys\nfrom selab.cli.logfile import log_to\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"  # each write fails, as on a full disk
        "log_to(pathlib.Path(sys.argv[1]))\nlogging.getLogger('selab').warning('hello')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "log")], check=False, capture_output=True
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_guests_output_cannot_act_on_the_readers_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log_to(tmp_path / "log")
    log_to_terminal()
    logging.getLogger("selab").warning("\x1b[31mred\nnext\tline")
    for text in ((tmp_path / "log").read_text(), capsys.readouterr().err):
        assert "\\x1b[31mred\nnext\tline\n" in text and "\x1b" not in text


def test_a_log_of_a_block_ends_with_the_block_also_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError), logging_to(tmp_path / "log"):
        logging.getLogger("selab").info("within")
        raise KeyError
    for name in LOGGERS:
        logging.getLogger(name).warning("after")
    assert (tmp_path / "log").read_text().endswith("INFO within\n")


def test_the_logs_of_two_projects_are_separate(tmp_path: Path) -> None:
    for name in "ab":
        with logging_to(tmp_path / name):
            logging.getLogger("selab").info("in %s", name)
    texts = [(tmp_path / name).read_text() for name in "ab"]
    assert [text.endswith(f" INFO in {name}\n") for name, text in zip("ab", texts, strict=True)] == [True] * 2
    assert [text.count("\n") for text in texts] == [1, 1]
