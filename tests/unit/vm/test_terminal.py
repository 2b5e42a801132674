"""The end of a program in a terminal; test_vagrant.py has the rest, with Vagrant as the program."""

from __future__ import annotations

import os
import select
import time

import pytest

from selab.vm.terminal import Terminal

LIMIT = 10.0
"""Seconds for a program that ends."""
SHORT_LIMIT = 0.1
"""Seconds for a program that has printed its lines and does not end."""


def shell(script: str) -> Terminal:
    return Terminal(["/bin/sh", "-c", script], "/", os.environ)


def test_lines_that_wait_to_be_read_do_not_extend_the_limit() -> None:
    with pytest.raises(TimeoutError, match="two"), shell("printf 'one\\ntwo\\n'; sleep 60") as terminal:
        assert select.select([terminal.child_fd], [], [], LIMIT)[0], "the program prints nothing"
        for line in terminal.lines(SHORT_LIMIT):
            assert line == "one"
            time.sleep(SHORT_LIMIT)


def test_a_program_that_has_ended_is_not_late() -> None:
    with shell("printf one") as terminal:
        assert list(terminal.lines(LIMIT)) == ["one"]
    assert terminal.ending() == ""


def test_control_characters_are_left_out() -> None:
    with shell(r"printf '\033[1mbold\033[0m\007\rnext\n'") as terminal:
        assert list(terminal.lines(LIMIT)) == ["bold", "next"]
