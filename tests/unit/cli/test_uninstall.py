"""`selab uninstall`."""

from __future__ import annotations

import pytest

from selab.errors import InputError

from .conftest import Selab


def test_the_policy_is_removed_and_reported(
    selab: Selab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    policies: list[str] = []
    monkeypatch.setattr("selab.workflows.install.uninstall", lambda *words: policies.append(words[2]))
    assert selab("uninstall", "web") == 0
    assert (policies, capsys.readouterr().out) == (["web"], "web is no longer installed.\n")


def test_a_policy_that_is_not_installed_is_not_reported_as_removed(
    selab: Selab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def uninstall(*_: object) -> None:
        raise InputError("The policy 'web' is not installed.")

    monkeypatch.setattr("selab.workflows.install.uninstall", uninstall)
    assert selab("uninstall", "web") == 2
    assert capsys.readouterr().out == ""
