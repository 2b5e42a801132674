"""A policy tool's refusal of its input, and the failures that look like one."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from selab.guest import Completed
from selab.policy.refusal import PHRASES, refused

REASON = "web.te:3:ERROR 'unknown type x_t' at token ';' on line 3391:"


def done(code: int, error: str) -> Completed:
    return Completed((), code, b"", error.encode())


@pytest.mark.parametrize(("code", "codes"), [(1, (1,)), (255, (1, 255))])
def test_a_tool_that_says_why_has_refused_its_input(code: int, codes: tuple[int, ...]) -> None:
    assert refused(done(code, REASON), codes)


@pytest.mark.parametrize("code", [-9, -1, 0, 2, 126, 127, 137, 255])
def test_another_exit_code_is_no_refusal(code: int) -> None:
    assert not refused(done(code, REASON))


@pytest.mark.parametrize("output", ["", " \n"])
def test_silence_is_no_refusal(output: str) -> None:
    assert not refused(done(1, output))


@pytest.mark.parametrize("phrase", PHRASES)
def test_a_failure_of_the_machine_is_no_refusal(phrase: str) -> None:
    assert not refused(done(1, f"{REASON}\ntool: x: {phrase}\n"))


@pytest.mark.toolchain
@pytest.mark.parametrize("line", ["absent-program", "kill -9 $$", "kill -6 $$"])
def test_what_make_prints_about_a_program_without_a_result_is_no_refusal(tmp_path: Path, line: str) -> None:
    recipe = line.replace("$", "$$")
    (tmp_path / "Makefile").write_text(f'.PHONY: web.pp\nweb.pp:\n\t@echo "{REASON}" >&2; {recipe}\n')
    made = subprocess.run(["make", "-C", str(tmp_path), "web.pp"], capture_output=True, env={"LC_ALL": "C"})
    assert made.returncode == 2
    assert not refused(Completed((), 1, b"", made.stderr)), made.stderr


def test_what_the_shell_prints_about_a_missing_program_is_no_refusal() -> None:
    for shell in (["sh", "-c"], ["bash", "-c"]):
        ran = subprocess.run([*shell, "absent-program"], capture_output=True)
        assert not refused(done(1, f"{REASON}\n{ran.stderr.decode()}")), ran.stderr
