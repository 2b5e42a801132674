"""Runs with services of the guest: what they send to it, in which order, and what they restore."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest

from selab.errors import InputError, SelabError
from selab.progress import Progress
from selab.project import Project
from selab.run.conversion import document_of
from selab.run.experiment import Run, run
from selab.run.request import Request
from selab.run.verdict import Verdict
from tests.unit.fakes import Answer, ReadyMachine, ScriptedGuest, keep_base
from tests.unit.garbage import GARBAGE

UNIT, DOMAIN = "web.service", "system_u:system_r:web_t:s0"
MAIN = "result success\ncode 0\nstatus 0\n"
STARTED = f"invocation {'b' * 32}\n{MAIN}pid 77\nlabel {DOMAIN}\nend\n"
STOPPED = f"active active\nrestarts 0\n{MAIN}label {DOMAIN}\nend\n"
FAILED = STOPPED.replace("active active", "active failed").replace("code 0\nstatus 0", "code 1\nstatus 3")
SERVICE = {"service": {"unit": "web", "packages": ["web"]}, "label": {"type": "web_t"}}
CONTAINER = {"image": "registry.test/x:1", "label": {"type": "web_t"}}
Started = Callable[..., Run]


class ServiceGuest(ScriptedGuest):
    """A guest in which a service runs under its domain, beside containers."""

    def __init__(self, start: str = STARTED, stop: str = STOPPED, *, code: int = 0) -> None:
        super().__init__()
        self.run_several()
        self.answer("service/missing-packages")
        self.answer("service/start", out=start, code=code, err="no such program\n" if code else "")
        self.answer("service/stop", out=stop)
        self.answer_program("true")
        self.answer_program("timeout")


@pytest.fixture
def ran(project: Project, monkeypatch: pytest.MonkeyPatch) -> Started:
    """A run of a scenario with a service: ran(guest, {"steps": [...]})."""
    keep_base(project.root / "cache")
    monkeypatch.setenv("SELAB_CACHE", str(project.root / "cache"))

    def ran(guest: ScriptedGuest, fields: dict[str, Any] | None = None, *, keep: bool = False) -> Run:
        scenario = SERVICE | (fields or {}) if "containers" not in (fields or {}) else fields
        (project.scenarios / "web.yaml").write_text(json.dumps(scenario))
        return run(project, ReadyMachine(guest), Request("web", keep=keep), Progress())

    return ran


def test_a_service_that_runs_under_its_domain_passes(ran: Started) -> None:
    result = ran(ServiceGuest())
    assert (result.verdict, document_of(result).label.actual) == (Verdict.PASS, DOMAIN)


def test_packages_come_first_and_units_are_restored_last(ran: Started) -> None:
    guest = ServiceGuest()
    ran(guest)
    assert guest.scripts == [
        *("survey", "service/missing-packages", "same-store", "await-removal"),
        *(
            "restore-labels",
            "service/restore",
            "find-changes",
            "open-window",
            "flush-cache",
            "switch-mode",
            "service/start",
            "service/stop",
        ),
        *("close-window", "restore-mode", "service/restore"),
    ]


def test_a_service_that_is_kept_is_not_restored(ran: Started) -> None:
    guest = ServiceGuest()
    ran(guest, keep=True)
    assert guest.scripts.count("service/restore") == 1
    assert [words for name, words in guest.calls if name == "service/stop"] == [(UNIT, "1")]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SelabError("It broke.")])
@pytest.mark.parametrize("script", ["service/start", "service/stop", "close-window"])
def test_units_are_restored_after_an_interrupt_or_an_error(
    ran: Started, script: str, error: type[BaseException] | BaseException
) -> None:
    def fail(name: str) -> None:
        if name == script:
            raise error

    guest = ServiceGuest()
    guest.before = fail
    with pytest.raises((KeyboardInterrupt, SelabError)):
        ran(guest)
    assert guest.scripts[-1] == "service/restore"


def test_a_service_that_does_not_start_is_a_fail_that_names_the_unit(ran: Started) -> None:
    refused = "invocation \nresult exit-code\ncode 1\nstatus 203\n"
    result = ran(ServiceGuest(start=refused, code=1))
    assert (result.verdict, result.reasons[0]) == (
        Verdict.FAIL,
        "the service web.service did not start: its main process ended with status 203 "
        "(EXEC: the program could not be executed): no such program",
    )


def test_a_service_that_ends_is_a_fail_that_names_the_unit(ran: Started) -> None:
    result = ran(ServiceGuest(stop=FAILED))
    words = "the service web.service ended (its main process ended with status 3) before the run was over"
    assert (result.verdict, result.reasons[0]) == (Verdict.FAIL, words)


def test_an_end_that_a_step_waits_for_is_no_fail(ran: Started) -> None:
    guest = ServiceGuest(stop=FAILED)
    guest.answer("service/wait-for-end", out="3\n")
    assert ran(guest, {"steps": [{"exit": {"code": 3}}]}).verdict is Verdict.PASS


def test_a_service_that_stays_in_systemds_domain_is_an_error(ran: Started) -> None:
    result = ran(ServiceGuest(STARTED.replace("web_t", "init_t"), STOPPED.replace("web_t", "init_t")))
    assert result.verdict is Verdict.ERROR
    assert "a process of the service web.service ran as system_u:system_r:init_t:s0" in result.reasons[0]


def test_the_log_of_a_service_is_searched_and_shown(ran: Started) -> None:
    guest = ServiceGuest()
    guest.answer("read-log", out="starting\n")
    guest.answer_program("journalctl", out="the last lines\n")
    guest.answer_program("test", code=1)
    result = ran(guest, {"steps": [{"log": {"pattern": "ready", "timeout": 1}}]})
    assert (result.verdict, result.outcome.log) == (Verdict.FAIL, "the last lines")
    assert {words[2] for name, words in guest.calls if name == "read-log"} == {"journalctl"}


def test_a_service_and_a_container_run_together(ran: Started) -> None:
    guest = ServiceGuest()
    containers = {
        "web": {"image": "registry.test/x:1", "label": {"type": "web_t"}, "after": {"queue": "started"}},
        "queue": SERVICE,
    }
    result = ran(
        guest, {"containers": containers, "steps": [{"container": "queue", "guest": {"argv": ["true"]}}]}
    )
    assert (result.verdict, [each.title for each in result.containers]) == (Verdict.PASS, ["queue", "web"])
    calls = [(name, words) for name, words in guest.calls if name in ("start", "service/start", "end")]
    assert [name for name, _ in calls] == ["service/start", "start", "end"]
    assert calls[1][1][5] == "" and calls[2][1][2:] == ("selab-web", "selab-web-web", "123")
    assert guest.scripts[guest.scripts.index("end") - 1 :][:3] == ["service/stop", "end", "service/stop"]


def test_a_dead_service_beside_a_container_is_named(ran: Started) -> None:
    containers = {"web": CONTAINER, "queue": SERVICE}
    result = ran(ServiceGuest(stop=FAILED), {"containers": containers})
    assert result.verdict is Verdict.FAIL
    assert result.reasons[0].startswith("the service 'queue' (web.service) ended")


def test_several_services_need_no_network(ran: Started) -> None:
    guest = ServiceGuest()
    command = {"service": {"command": ["/usr/bin/job"]}, "label": {"type": "web_t"}}
    ran(guest, {"containers": {"web": SERVICE, "job": command}})
    assert not {"make-network", "end", "keep"} & {*guest.scripts}
    starts = [words[0] for name, words in guest.calls if name == "service/start"]
    assert starts == [UNIT, "selab-web-job.service"]


def test_an_init_service_ends_before_the_others_start(ran: Started) -> None:
    guest = ServiceGuest()
    guest.answer("service/wait-for-end", out="1\n")
    guest.answer_program("journalctl")
    containers = {"job": SERVICE | {"init": True}, "web": CONTAINER}
    result = ran(guest, {"containers": containers})
    assert "start" not in guest.scripts
    assert result.reasons[0] == (
        "the service 'job' (web.service) was to end with exit code 0, but ended with 1"
    )


def test_a_service_without_a_policy_needs_a_type(ran: Started) -> None:
    guest = ServiceGuest()
    with pytest.raises(InputError, match="names no domain for the service 'web'"):
        ran(guest, {"label": {}})
    assert guest.commands == []


class SpoiledGuest(ServiceGuest):
    """Answers the script `target` with garbage."""

    def __init__(self, target: str, garbage: Callable[[str], str]) -> None:
        super().__init__(stop=FAILED)
        self._target, self._garbage = target, garbage
        self.answer("service/wait-for-end", out="3\n")

    def spoil(self, name: str, answer: Answer) -> Answer:
        code, out, err = answer
        return (code, self._garbage(out or "web\n"), err) if name == self._target else answer


UNCHANGED = {
    *(("service/wait-for-end", kind) for kind in ("negative numbers", "NUL bytes")),
    *(("service/missing-packages", kind) for kind in ("negative numbers", "NUL bytes", "duplicate keys")),
    ("service/missing-packages", "empty"),
}
"""Garbage that is a possible answer: a word without a space, and a missing package or none."""


QUERIES = ("service/missing-packages", "service/start", "service/stop", "service/wait-for-end")


@pytest.mark.parametrize(("target", "kind"), sorted({*itertools.product(QUERIES, GARBAGE)} - UNCHANGED))
def test_garbage_about_a_service_never_passes(ran: Started, target: str, kind: str) -> None:
    guest = SpoiledGuest(target, GARBAGE[kind])
    try:
        assert ran(guest, {"steps": [{"exit": {"code": 3}}]}).verdict is not Verdict.PASS
    except SelabError as error:
        assert "makes no sense" in str(error) or "could not" in str(error), error
