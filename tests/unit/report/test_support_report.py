"""The filled-in checklist: what it says, and what it must not say."""

from __future__ import annotations

import getpass
import json
import re
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selab.__main__ import run
from selab.container.runtime import runtimes
from selab.doctor import support_report as gathering
from selab.doctor.examine import Finding, State
from selab.doctor.support_report import Checklist
from selab.guest import script
from selab.project import Project
from selab.report.support_report import SHOWN, _without, markdown, private
from selab.vm import provision
from tests.unit.documents import document
from tests.unit.fakes import FakeGuest

DOCS = Path(__file__).parents[3] / "docs"


def checklist_of(**more: Any) -> Checklist:
    """Return the checklist of a machine in perfect order, changed by `more`."""
    plain: dict[str, Any] = {
        "profile": "centos9",
        "facts": {"kernel": "Linux 5.14 x86_64"},
        "findings": tuple(
            Finding(name, State.OK, "fine") for name in ("VM", "SELinux", "base policy", "Docker", "audit")
        ),
        "steps": {"Docker": "applied", "Docker running": "present"},
        "runs": (
            document(verdict="PASS", denials=[], timings={"vm": 0.5, "steps": 2.0}),
            document(mode="permissive"),
        ),
    }
    return Checklist(**(plain | more))


def unchecked(checklist: Checklist) -> list[str]:
    return [check.what for check in checklist.checks if not check.ok]


def test_where_nothing_is_wrong_every_line_is_checked() -> None:
    assert unchecked(checklist_of()) == []


@pytest.mark.parametrize(
    ("more", "left"),
    [
        ({"findings": ()}, "The VM is up and answers."),
        ({"steps": {"Docker": "missing"}}, "Every step of the provisioning has its result."),
        ({"runs": (document(),)}, "An enforcing run passes."),
        ({"runs": (document(mode="permissive", denials=[]),)}, "A permissive run of a draft shows denials."),
        ({"runs": (document(verdict="ERROR"),)}, "No run ended as ERROR."),
    ],
)
def test_a_line_is_not_checked_where(more: dict[str, Any], left: str) -> None:
    assert left in unchecked(checklist_of(**more))


def test_what_no_run_showed_is_not_called_wrong(project: Project) -> None:
    assert "- [ ] An enforcing run passes. (not seen)" in markdown(checklist_of(runs=()), project)


def test_the_document_has_the_same_lines_in_the_same_order() -> None:
    lines = re.findall(r"^- \[ \] (.*)$", (DOCS / "howto" / "centos.md").read_text(), re.MULTILINE)
    assert lines == [check.what for check in checklist_of().checks]


def test_the_quickest_run_is_told(project: Project) -> None:
    assert "- [x] An enforcing run passes. the quickest in 2.5 s" in markdown(checklist_of(), project)


def test_a_program_reads_the_same(project: Project) -> None:
    text = re.search(r"```json\n(.*)\n```\n", markdown(checklist_of(), project), re.DOTALL)
    assert text is not None
    summary = json.loads(text[1])
    assert (summary["profile"], summary["facts"]["kernel"], summary["provisioning"]["Docker"]) == (
        "centos9",
        "Linux 5.14 x86_64",
        "applied",
    )
    assert summary["run_count"] == 2
    assert summary["checks"][:2] == [
        {"what": "The VM is up and answers.", "ok": True, "detail": "fine"},
        {"what": "Every step of the provisioning has its result.", "ok": True, "detail": ""},
    ]
    assert summary["findings"][0] == {"subject": "VM", "state": "ok", "detail": "fine"}
    assert summary["runs"][0] == {
        "mode": "enforcing",
        "verdict": "PASS",
        "denials": "0",
        "steps": "1 of 2",
        "timings": {"vm": 0.5, "steps": 2.0},
    }


def test_the_table_shows_the_last_runs_and_says_how_many_there_are(project: Project) -> None:
    text = markdown(checklist_of(runs=(document(),) * (SHOWN + 1)), project)
    assert text.count("| enforcing | FAIL |") == SHOWN
    assert f"## Runs (the last {SHOWN} of {SHOWN + 1})" in text
    assert "## Runs\n" in markdown(checklist_of(runs=(document(),) * SHOWN), project)


@pytest.fixture
def alice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "tower.example.org")
    monkeypatch.setattr(getpass, "getuser", lambda: "alice")
    monkeypatch.setattr(Path, "home", lambda: Path("/srv/people/alice"))


@pytest.mark.parametrize(
    "private_text",
    [
        "box in /srv/people/alice/boxes",
        "/home/bob/x and /Users/Carol/y",
        r"C:\Users\dave\x",
        "Tower.example.org answers",
        "cannot reach tower",
        "qemu+ssh://alice@192.168.7.9/system",
        "/var/home/erin/[lab]",
    ],
)
def test_no_user_or_machine_is_named(project: Project, alice: None, private_text: str) -> None:
    text = markdown(
        checklist_of(
            facts={"a": private_text}, findings=(Finding("VM", State.BAD, private_text, private_text),)
        ),
        project,
    )
    for name in ("alice", "bob", "carol", "dave", "erin", "tower", "192.168"):
        assert name not in text.lower()


def test_the_projects_own_directory_is_not_named(project: Project) -> None:
    space = f"64 GiB free in {project.root}"
    assert str(project.root) not in markdown(
        checklist_of(findings=(Finding("disk", State.OK, space),)), project
    )


def test_each_name_is_replaced_by_a_word_for_what_it_is_the_longest_first(
    project: Project, alice: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SELAB_CACHE", "/srv/people/alice/a/long/way/to/the/cache")
    names = {
        str(project.root): "PROJECT",
        "/srv/people/alice/a/long/way/to/the/cache": "CACHE",
        "/srv/people/alice": "HOME",
        "tower.example.org": "HOST",
        "alice": "USER",
        "tower": "HOST",
    }
    assert private(project) == names
    assert [*map(len, private(project))] == sorted(map(len, names), reverse=True)


@pytest.mark.parametrize(("user", "is_replaced"), [("al", False), ("ala", True)])
def test_a_name_that_may_be_a_part_of_any_text_stays(
    project: Project, monkeypatch: pytest.MonkeyPatch, user: str, is_replaced: bool
) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: user)
    assert (user in private(project)) is is_replaced


def test_a_user_without_a_name_needs_no_replacement(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def getuser() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr(getpass, "getuser", getuser)
    assert "USER" not in private(project).values()


def test_names_that_everybody_has_stay(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: "root")
    monkeypatch.setattr(socket, "gethostname", lambda: "localhost")
    assert not {"root", "localhost"} & private(project).keys()


@given(
    st.from_regex(r"[a-z][a-z0-9.-]{2,20}", fullmatch=True),
    st.text(" /:@'()[]|.-_"),
    st.text(" /:@'()[]|.-_"),
)
def test_a_name_between_any_signs_is_gone(name: str, before: str, after: str) -> None:
    assert name not in _without({name: ""}, f"{before}{name.upper()} {after} {name}").lower()


@pytest.mark.parametrize("fact", ["a | b", "<script>", "[x](y)", "`x`", "a\nb", "\x1b[31m"])
def test_a_guests_word_is_neither_markup_nor_a_command(project: Project, fact: str) -> None:
    (line,) = [
        line
        for line in markdown(checklist_of(facts={"fact": fact}), project).splitlines()
        if line.startswith("| fact |") and "value" not in line
    ]
    assert (
        len(re.findall(r"(?<!\\)\|", line)) == 3
        and "\x1b" not in line
        and not re.search(r"(?<!\\)[<`\[]", line)
    )


def test_a_guest_tells_its_facts() -> None:
    guest = FakeGuest()
    guest.answer(script("doctor/facts"), "docker-ce", out="kernel\tLinux 5.14\nguest\tCentOS Stream 9\n")
    for name in runtimes():
        guest.answer(script("container/has-program"), f" {name}", code=0 if name == "podman" else 1)
    guest.answer("podman --version", out="podman version 5.4\n")
    guest.answer("podman info", code=125)
    facts = {"kernel": "Linux 5.14", "guest": "CentOS Stream 9", "Podman": "podman version 5.4"}
    assert gathering._of_guest(guest) == facts


def test_a_step_is_applied_present_or_missing() -> None:
    guest, steps = FakeGuest(), provision.steps("dnf")
    guest.answer(script("vm/package-tools"), out="/usr/bin/dnf\n")
    guest.answer(script("vm/probe"), out="missing\n" + "present\n" * (len(steps) - 1))
    results = gathering._steps(guest, [steps[1].name])
    assert [results[step.name] for step in steps[:3]] == ["missing", "applied", "present"]


def test_a_report_is_written_where_there_is_no_file_yet(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "checklist", lambda project: checklist_of())
    words = ["-C", str(project.root), "doctor", "--report", str(tmp_path / "centos.md")]
    assert run(words) == 0
    assert (tmp_path / "centos.md").read_text().startswith("# selab on centos9\n")
    assert run(words) == 2


def test_without_a_file_it_goes_to_standard_output(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gathering, "checklist", lambda project: checklist_of())
    assert run(["-C", str(project.root), "doctor", "--report"]) == 0
    assert capsys.readouterr().out.startswith("# selab on centos9\n")
