"""The connection to the guest breaks during a run."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from selab.errors import InputError, SelabError
from selab.run.experiment import Run
from selab.run.verdict import Verdict
from tests.vm.faults import FULL

pytestmark = pytest.mark.usefixtures("after_all")

CUT = "pkill -9 -f sshd-session"
HUNG = "iptables -I INPUT -p tcp --dport 22 -j DROP"
"""Closes no connection: from now on the guest silently drops every packet."""


def verdict_of(run: Callable[..., Run], fault: Callable[[], None]) -> Verdict:
    """Return the verdict of a run with a fault. Raises InputError if no run could begin."""
    try:
        return run("apache", policy=FULL, after_steps=fault).verdict
    except InputError:
        raise
    except SelabError:
        return Verdict.ERROR


def test_a_connection_that_is_cut_is_no_pass(
    run: Callable[..., Run], in_guest: Callable[[str], None]
) -> None:
    assert verdict_of(run, partial(in_guest, CUT)) is Verdict.ERROR


@pytest.mark.slow
def test_a_connection_that_hangs_is_no_pass(run: Callable[..., Run], in_guest: Callable[[str], None]) -> None:
    assert verdict_of(run, partial(in_guest, HUNG)) is Verdict.ERROR
