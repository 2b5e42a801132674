"""If a message says that the complete output is in the log, the log must contain it."""

from __future__ import annotations

import ast
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

import selab
from selab.__main__ import _refused_by_system
from selab.container.image import _Store
from selab.container.runtime import runtimes
from selab.errors import CommandFailed
from selab.guest import IN_THE_LOG, Completed
from selab.policy.base import _resolve
from selab.policy.toolchain import Toolchain
from tests.unit.fakes import FakeGuest

PACKAGE = Path(selab.__file__).parent
OTHERS = {
    "guest.py": "the hint itself, which the tests below are about",
    "cli/root.py": "the help of `--verbose`",
    "cli/session.py": "the name of the file",
    "matrix/work.py": "the name of the file",
    "__main__.py": "an error of the operating system; a test below shows that it is in the log",
}
"""The files that name the log, and why."""


def trees(word: str) -> Iterator[tuple[str, ast.Module]]:
    """Yield the name and the tree of each module whose source contains the word."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if word in (source := path.read_text()):
            yield path.relative_to(PACKAGE).as_posix(), ast.parse(source)


def documentation(tree: ast.Module) -> set[int]:
    """Return the identities of the strings that are statements of their own."""
    return {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}


def test_no_other_message_names_the_log() -> None:
    naming = set()
    for name, tree in trees("selab.log"):
        sentences = documentation(tree)
        if any(
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and "selab.log" in node.value
            and id(node) not in sentences
            for node in ast.walk(tree)
        ):
            naming.add(name)
    assert naming == set(OTHERS)


def test_the_hint_is_used_only_with_a_command_whose_output_is_logged() -> None:
    for name, tree in trees("IN_THE_LOG"):
        inside_expect = {
            id(node)
            for call in ast.walk(tree)
            if isinstance(call, ast.Call) and getattr(call.func, "attr", "") == "expect"
            for node in ast.walk(call)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and node.id == "IN_THE_LOG" and name != "guest.py":
                assert id(node) in inside_expect, f"{name}:{node.lineno}: only `expect` and `logged` log"


@pytest.mark.parametrize("method", ["logged", "expect"])
def test_a_command_logs_all_of_both_outputs(method: str, caplog: pytest.LogCaptureFixture) -> None:
    done = Completed(("tool",), 1, b"out 1\nout 2\n", b"error 1\nerror 2\n")
    with caplog.at_level(logging.DEBUG, "selab"):
        if method == "logged":
            assert done.logged() == IN_THE_LOG
        else:
            with pytest.raises(CommandFailed):
                done.expect("It failed.", hint=f"Try again. {IN_THE_LOG}")
    assert [text in caplog.text for text in ("error 1\nerror 2", "out 1\nout 2")] == [True, True]
    assert caplog.text.index("error 1") < caplog.text.index("out 1")


def test_what_a_failed_resolution_printed_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    guest = FakeGuest()
    guest.answer("secil2tree", code=1, err="first\nlast\n")
    guest.answer("rm", "-f")
    with caplog.at_level(logging.DEBUG, "selab"), pytest.raises(CommandFailed) as caught:
        _resolve("(x)", Toolchain(guest, "/w"))
    assert IN_THE_LOG in caught.value.hint and "first\nlast" in caplog.text


def test_what_a_failed_pull_printed_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    guest = FakeGuest()
    guest.answer("docker", "pull", code=1, err="first\nlast\n")
    with caplog.at_level(logging.DEBUG, "selab"), pytest.raises(CommandFailed) as caught:
        _Store(guest, runtimes()["docker"]).run(["pull", "x"], "It cannot be pulled.", 10)
    assert IN_THE_LOG in caught.value.hint and "first\nlast" in caplog.text


def test_an_error_of_the_operating_system_is_in_the_log(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG, "selab"):
        _refused_by_system(OSError(5, "Input/output error", "/p/x"))
    assert ".selab/selab.log" in capsys.readouterr().err
    assert "Input/output error" in caplog.text
