"""Which boolean would allow an access, by libsepol about a recorded policy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from selab.errors import SelabError
from selab.policy.query import booleans as booleans_module
from selab.policy.query.booleans import Booleans, with_booleans
from selab.policy.query.decide import Access, Cause, Decider, Decision, libsepol

VALUES = {"shiny": False, "loud": True, "third": False}


def access(source: str, target: str, permission: str, command: int | None = None) -> Access:
    return Access(f"u:r:{source}_t:s0", f"u:r:{target}_t:s0", "file", permission, command)


def decided(policy: Path, *accesses: Access, names: bool = True) -> list[Decision]:
    return with_booleans(policy, Decider(policy).decide(accesses), names=names)


def test_the_values_are_those_of_the_policy(policy: Path) -> None:
    assert Booleans(policy).values == VALUES


@pytest.mark.parametrize(
    ("question", "cause", "detail"),
    [
        (access("base", "etc", "write"), Cause.BOOLEAN, "shiny on"),
        (access("web", "etc", "read"), Cause.BOOLEAN, "loud off"),
        (access("web", "shared", "write"), Cause.BOOLEAN, ""),
        (access("web", "etc", "write"), Cause.RULE, ""),
        (access("web", "shared", "ioctl", 1), Cause.BOOLEAN, "loud off"),
        (access("web", "shared", "ioctl", 2), Cause.RULE, ""),
        (access("web", "etc", "open"), Cause.NONE, ""),
        (access("web", "absent", "read"), Cause.UNKNOWN, "the policy does not know u:r:absent_t:s0"),
    ],
    ids=[
        "on",
        "off",
        "no boolean alone",
        "no boolean at all",
        "a listed command",
        "an unlisted command",
        "allowed",
        "unknown",
    ],
)
def test_what_a_boolean_would_allow_names_it(
    policy: Path, question: Access, cause: Cause, detail: str
) -> None:
    decision = decided(policy, question)[0]
    assert (decision.access, decision.cause, decision.detail) == (question, cause, detail)


MANY = [
    (access("base", "etc", "open"), Cause.BOOLEAN, "shiny on"),
    (access("web", "shared", "write"), Cause.BOOLEAN, ""),
    (access("web", "etc", "open"), Cause.NONE, ""),
    (access("web", "shared", "ioctl", 1), Cause.BOOLEAN, "loud off"),
    (access("web", "etc", "write"), Cause.RULE, ""),
    (access("base", "etc", "write"), Cause.BOOLEAN, "shiny on"),
    (access("web", "etc", "read"), Cause.BOOLEAN, "loud off"),
]


def test_of_many_accesses_each_has_its_own_boolean(policy: Path) -> None:
    decisions = decided(policy, *(question for question, *_ in MANY))
    assert [(each.access, each.cause, each.detail) for each in decisions] == MANY


def test_a_boolean_is_named_only_on_request(policy: Path) -> None:
    decisions = decided(policy, *(question for question, *_ in MANY), names=False)
    assert [(each.cause, each.detail) for each in decisions] == [(cause, "") for _, cause, _ in MANY]


def test_what_several_accesses_have_in_common_is_searched_once(
    policy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bisection takes some seconds for each boolean of a real policy."""
    searched = []
    search = booleans_module._deciding_boolean

    def noted(booleans: Booleans, names: list[str], value: bool, question: Access, copy: Path) -> str:
        searched.append(question)
        return search(booleans, names, value, question, copy)

    monkeypatch.setattr(booleans_module, "_deciding_boolean", noted)
    decided(policy, access("base", "etc", "open"), access("base", "etc", "write"))
    assert searched == [access("base", "etc", "open")]


@pytest.mark.parametrize("question", [access("web", "etc", "open"), access("child", "etc", "open")])
def test_without_a_missing_rule_no_boolean_is_tried(
    policy: Path, question: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    decisions = Decider(policy).decide([question])
    monkeypatch.delattr(booleans_module, "Booleans")
    assert with_booleans(policy, decisions) == decisions


def test_a_policy_without_booleans_has_missing_rules(policy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class WithoutBooleans:
        values: dict[str, bool] = {}

        def __init__(self, path: Path) -> None:
            assert path == policy

    decisions = Decider(policy).decide([access("base", "etc", "write")])
    monkeypatch.setattr(booleans_module, "Booleans", WithoutBooleans)
    assert with_booleans(policy, decisions) == decisions


@pytest.mark.parametrize(
    "changes", [{}, {"shiny": True}, {"loud": False, "third": True}, dict.fromkeys(VALUES, True)], ids=str
)
def test_a_copy_has_the_changed_values_and_the_others_as_before(
    policy: Path, tmp_path: Path, changes: dict[str, bool]
) -> None:
    booleans = Booleans(policy)
    booleans.write(changes, tmp_path / "copy")
    assert Booleans(tmp_path / "copy").values == VALUES | changes
    assert booleans.values == VALUES


def test_a_changed_copy_decides_otherwise(policy: Path, tmp_path: Path) -> None:
    Booleans(policy).write({"shiny": True}, tmp_path / "copy")
    assert Decider(tmp_path / "copy").decide([access("base", "etc", "write")])[0].allowed


def test_a_file_that_is_no_policy_has_no_booleans_to_read(tmp_path: Path) -> None:
    (tmp_path / "nothing").write_bytes(b"not a policy")
    with pytest.raises(SelabError):
        Booleans(tmp_path / "nothing")


@pytest.mark.parametrize("refused", ["sepol_bool_set", "sepol_policydb_to_image"])
def test_a_request_that_libsepol_refuses_is_an_error(
    refused: str, policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    booleans, library = Booleans(policy), libsepol()

    class Refusing:
        def __getattr__(self, name: str) -> Any:
            return (lambda *arguments: -1) if name == refused else getattr(library, name)

    monkeypatch.setattr(booleans, "_library", Refusing())
    with pytest.raises(SelabError):
        booleans.write({"shiny": True}, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
