"""Tests the choice of the machine that compiles and links a policy, with fake tools on PATH."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from selab.errors import SelabError
from selab.policy import toolchain
from selab.policy.toolchain import (
    GUEST_WORKDIR,
    TOOLS,
    Demands,
    Toolchain,
    choose_toolchain,
    host_toolchain,
    missing_on_host,
)
from tests.unit.fakes import FakeGuest

Remove = Callable[[str], None]
HELP = "  -c, --policyvers=<version>     build a binary policy with a given version\n    (default: 33)\n"


@pytest.fixture(autouse=True)
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of all the tools; the CIL compiler writes version 33 at most, and reads no `deny`."""
    directory = tmp_path / "bin"
    directory.mkdir()
    for name in (*TOOLS, "pp"):
        (directory / name).write_text(f"#!/bin/sh\nprintf '%s' '{HELP}'\n")
        (directory / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(directory))
    monkeypatch.setattr(toolchain, "PP", (str(tmp_path / "absent"), str(directory / "pp")))
    monkeypatch.setattr(toolchain, "_newest_policyvers", toolchain._newest_policyvers.__wrapped__)
    monkeypatch.setattr(toolchain, "knows_deny", lambda: False)
    return directory


def test_nothing_is_missing_if_every_tool_is_there() -> None:
    assert missing_on_host(Demands(policyvers=33)) == []


@pytest.mark.parametrize("tool", [*TOOLS, "pp"])
def test_a_missing_tool_is_named(tools: Path, tool: str) -> None:
    (tools / tool).unlink()
    assert missing_on_host() == [tool]


def test_a_compiler_that_writes_an_older_policy_version_only_is_missing() -> None:
    assert missing_on_host(Demands(policyvers=34)) == ["secilc for policy version 34"]


def test_a_compiler_whose_help_omits_the_version_has_no_limit(tools: Path) -> None:
    (tools / "secilc").write_text("#!/bin/sh\necho Usage\n")
    assert missing_on_host(Demands(policyvers=99)) == []


def test_a_compiler_that_cannot_read_deny_rules_is_missing_only_if_there_are_any() -> None:
    assert missing_on_host(Demands(denies=True)) == ["secilc 3.6"]


def test_this_machine_compiles_if_it_has_the_tools(tmp_path: Path) -> None:
    chosen = choose_toolchain(FakeGuest(), tmp_path)
    assert (chosen.on_host, chosen.workdir) == (True, str(tmp_path))


@pytest.mark.parametrize("demands", [Demands(denies=True), Demands(policyvers=34)])
def test_the_guest_compiles_what_this_machines_compiler_cannot(tmp_path: Path, demands: Demands) -> None:
    guest = FakeGuest()
    assert choose_toolchain(guest, tmp_path, demands) == Toolchain(guest, GUEST_WORKDIR)


def test_without_a_guest_a_missing_tool_is_an_error_that_names_it(tools: Path, tmp_path: Path) -> None:
    (tools / "m4").unlink()
    with pytest.raises(SelabError, match="Linting needs the policy tools") as caught:
        host_toolchain(tmp_path, "Linting")
    assert caught.value.detail == "Missing: m4."


@pytest.mark.parametrize(
    ("missing", "demands", "newer"),
    [
        ("", Demands(denies=True), True),
        ("", Demands(policyvers=34), True),
        ("m4", Demands(), False),
        ("pp", Demands(), False),
    ],
)
def test_setup_is_not_promised_to_install_a_newer_compiler(
    tools: Path, tmp_path: Path, missing: str, demands: Demands, newer: bool
) -> None:
    if missing:
        (tools / missing).unlink()
    with pytest.raises(SelabError) as caught:
        host_toolchain(tmp_path, "Linting", demands)
    assert ("newer system" in caught.value.hint) is newer
