"""libsepol asked in a process of its own, about a real linked policy."""

from __future__ import annotations

from pathlib import Path

import pytest

from selab.errors import SelabError
from selab.policy.base import BasePolicy
from selab.policy.compile import link
from selab.policy.query.decide import Access, Cause, Decision
from selab.policy.query.decide_subprocess import ask
from selab.policy.toolchain import Toolchain
from tests.unit.conftest import module


@pytest.fixture
def policy(base: BasePolicy, tools: Toolchain, tmp_path: Path) -> Path:
    path = tmp_path / "policy"
    path.write_bytes(link(base, [module("web", "(allow web_t etc_t (file (open)))")], tools).binary)
    return path


def access(permission: str, source: str = "web") -> Access:
    return Access(f"u:r:{source}_t:s0", "u:r:etc_t:s0", "file", permission)


@pytest.mark.toolchain
def test_the_answers_are_in_the_questions_order(policy: Path) -> None:
    accesses = [access("open"), access("read"), access("open", "absent")]
    assert [decision.cause for decision in ask(policy, accesses)] == [Cause.NONE, Cause.RULE, Cause.UNKNOWN]


@pytest.mark.toolchain
def test_a_boolean_is_named_where_it_is_asked_for(policy: Path) -> None:
    accesses = access("write", "base")
    assert ask(policy, [accesses], booleans=True, names=True) == [
        Decision(accesses, Cause.BOOLEAN, "shiny on")
    ]


def test_where_nothing_is_asked_no_policy_is_read() -> None:
    assert ask(Path("/nowhere"), []) == []


def test_an_error_of_the_other_process_is_ones_own(tmp_path: Path) -> None:
    (tmp_path / "nothing").write_bytes(b"not a policy")
    with pytest.raises(SelabError, match=r"The linked policy cannot be read\.\n.*nothing\n.*version"):
        ask(tmp_path / "nothing", [access("open")])


@pytest.mark.toolchain
def test_a_process_that_falls_over_is_an_error(policy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "false")
    with pytest.raises(SelabError, match="exit code 1"):
        ask(policy, [access("open")])


@pytest.mark.toolchain
def test_a_file_of_the_directory_is_not_run(
    policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit(7)\n")
    monkeypatch.chdir(tmp_path)
    assert ask(policy, [access("open")])[0].allowed


@pytest.mark.toolchain
def test_this_process_reads_no_policy(policy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """libsepol would never give its memory back."""
    monkeypatch.delattr("selab.policy.query.decide_subprocess.Decider")
    assert ask(policy, [access("open")])[0].allowed
