"""Runs whose container ended before selab could read its label."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from selab.progress import Progress
from selab.project import Project
from selab.run.document import document_of
from selab.run.experiment import Run, run
from selab.run.request import Request
from selab.run.verdict import Verdict
from tests.unit.obedient import LABEL, RECORD, ObedientGuest, StandingMachine, keep_base

HEAD = f"msg=audit(1700000000.100:{RECORD}):"
DENIED = (
    f'type=AVC {HEAD} avc:  denied  {{ use }} for  pid=9 comm="web" scontext={LABEL} '
    "tcontext=u:r:docker_t:s0 tclass=fd permissive=0\n"
    f"type=SYSCALL {HEAD} arch=c000003e syscall=59 success=no exit=-13 pid=9 "
    f'comm="web" subj={LABEL} key=(null)\n'
)
UNREAD = "the container ended before the label of its processes could be read from the kernel"


@pytest.fixture
def ended(project: Project, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Run]:
    """A run whose container ends at once: ended(records, lost=1, level="s0:c1,c2", denials="any").

    `records` is the audit log.
    """
    keep_base(project.root / "cache")
    monkeypatch.setenv("SELAB_CACHE", str(project.root / "cache"))
    monkeypatch.setattr("selab.run.context.random_level", lambda: "s0:c1,c2")

    def ended(records: str, lost: int = 0, level: str | None = None, denials: str = "none") -> Run:
        scenario: dict[str, Any] = {
            "image": "registry.test/x:1",
            "label": {"type": "web_t"},
            "expect": {"denials": denials},
        }
        scenario["label"] |= {"level": level} if level else {}
        (project.scenarios / "web.yaml").write_text(json.dumps(scenario))
        guest = ObedientGuest()
        guest.label, guest.records, guest.lost = "", records, lost
        return run(project, StandingMachine(guest), Request("web"), Progress())

    return ended


def test_its_denials_are_a_fail(ended: Callable[..., Run]) -> None:
    assert (ended(DENIED).verdict, ended(DENIED).reasons) == (Verdict.FAIL, ("1 unexpected denial",))


def test_without_a_denial_it_is_an_error(ended: Callable[..., Run]) -> None:
    assert (ended("").verdict, ended("").reasons) == (Verdict.ERROR, (UNREAD,))


def test_denials_that_the_scenario_allows_for_make_no_pass_of_it(ended: Callable[..., Run]) -> None:
    assert ended(DENIED, denials="any").verdict is Verdict.ERROR


def test_if_records_were_lost_the_label_is_unknown(ended: Callable[..., Run]) -> None:
    assert ended(DENIED, lost=1).reasons[:2] == (UNREAD, "the kernel lost 1 audit records")


def test_with_a_record_of_the_containers_own_the_label_is_unknown(ended: Callable[..., Run]) -> None:
    head = f"msg=audit(1700000000.100:{RECORD + 1}):"
    claim = f"type=USER_AVC {head} pid=9 uid=0 subj={LABEL} msg='avc:  denied  {{ read }} for x'\n"
    reasons = ended(DENIED + claim).reasons
    assert reasons[0] == UNREAD and any("the container itself" in reason for reason in reasons)


def test_a_level_of_the_scenarios_is_no_proof(ended: Callable[..., Run]) -> None:
    assert ended(DENIED, level="s0:c1,c2").reasons[0] == UNREAD


def test_the_document_says_where_its_label_was_seen(ended: Callable[..., Run]) -> None:
    label = document_of(ended(DENIED)).label
    assert (label.actual, label.from_denials) == (LABEL, True)


def test_the_summary_says_where_its_label_was_seen(ended: Callable[..., Run]) -> None:
    assert any("the kernel's records of its denials" in note for note in ended(DENIED).notes)


def test_a_label_that_was_not_observed_is_not_in_the_document(ended: Callable[..., Run]) -> None:
    label = document_of(ended("")).label
    assert (label.actual, label.from_denials) == ("", False)
