"""A whole run against a scripted guest: the label, the guard, the base policy and the order of the stages."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from selab.auditlog.events import read_events
from selab.auditlog.windows import Window
from selab.container.label import ContainerLabel
from selab.container.runtime import runtimes
from selab.errors import SelabError, Unreachable
from selab.policy.base import BasePolicy
from selab.policy.candidate import LoadedPolicy
from selab.policy.guest.load import Mode
from selab.policy.module import OWN_TEMPLATES, PolicyModule
from selab.progress import Progress
from selab.project import Project
from selab.run import experiment
from selab.run.conversion import document_of
from selab.run.experiment import Run, _attribute, _by_command, _notes, _without, run
from selab.run.outcome import ContainerOutcome, Outcome
from selab.run.request import DEFAULT_OPTIONS, Request, RunOptions
from selab.run.verdict import Verdict, classify
from selab.scenario.expect import Expect
from tests.unit.conftest import module
from tests.unit.fakes import LABEL, RECORD, ReadyMachine, ScriptedGuest, keep_base
from tests.unit.workloads import scenario, workload

HEAD = f"msg=audit(1700000000.100:{RECORD}):"
DENIED = (
    f'type=AVC {HEAD} avc:  denied  {{ use }} for  pid=9 comm="web" scontext={LABEL} '
    "tcontext=u:r:docker_t:s0 tclass=fd permissive=0\n"
    f"type=SYSCALL {HEAD} arch=c000003e syscall=59 success=no exit=-13 pid=9 "
    f'comm="web" subj={LABEL} key=(null)\n'
)
REFUSED = (
    f'type=AVC {HEAD} avc:  denied  {{ transition }} for  pid=9 comm="runc:[2:INIT]" path="/bin/httpd" '
    f"scontext=system_u:system_r:container_runtime_t:s0 tcontext={LABEL} tclass=process permissive=0\n"
)
SCENARIO = {"image": "registry.test/x:1", "label": {"type": "web_t"}}
TOLERATED = {"target": "docker_t", "reason": "it inherits the file"}
UNREAD = "the container ended before the label of its processes could be read from the kernel"


@pytest.fixture
def ended(project: Project, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Run]:
    """A run whose container ends at once: ended(records, lost=1, level="s0:c1,c2", denials="any").

    `records` is the audit log.
    """
    keep_base(project.root / "cache")
    monkeypatch.setenv("SELAB_CACHE", str(project.root / "cache"))
    monkeypatch.setattr("selab.run.context.random_level", lambda: "s0:c1,c2")

    def ended(records: str, lost: int = 0, level: str | None = None, denials: object = "none") -> Run:
        scenario: dict[str, Any] = {
            "image": "registry.test/x:1",
            "label": {"type": "web_t"},
            "expect": {"denials": denials},
        }
        scenario["label"] |= {"level": level} if level else {}
        (project.scenarios / "web.yaml").write_text(json.dumps(scenario))
        guest = ScriptedGuest()
        guest.label, guest.records, guest.lost = "", records, lost
        return run(project, ReadyMachine(guest), Request("web"), Progress())

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


def test_a_refused_transition_to_its_domain_is_a_fail(ended: Callable[..., Run]) -> None:
    run = ended(REFUSED)
    assert (run.verdict, run.reasons[1:]) == (Verdict.FAIL, ("1 unexpected denial",))
    assert "did not enter its domain" in run.reasons[0]
    assert [row.denial.permissions for row in run.denials.rows] == [("transition",)]


def test_a_refused_transition_is_no_proof_if_records_were_lost(ended: Callable[..., Run]) -> None:
    assert ended(REFUSED, lost=1).verdict is Verdict.ERROR


def test_the_document_says_where_its_label_was_seen(ended: Callable[..., Run]) -> None:
    label = document_of(ended(DENIED)).label
    assert (label.actual, label.from_denials) == (LABEL, True)


def test_the_summary_says_where_its_label_was_seen(ended: Callable[..., Run]) -> None:
    assert any("the kernel's records of its denials" in note for note in ended(DENIED).notes)


def test_a_label_that_was_not_observed_is_not_in_the_document(ended: Callable[..., Run]) -> None:
    label = document_of(ended("")).label
    assert (label.actual, label.from_denials) == ("", False)


Started = Callable[..., Run]


@pytest.fixture
def ran(project: Project, monkeypatch: pytest.MonkeyPatch) -> Started:
    """A run in the guest that it is given: ran(guest, mode=Mode.PERMISSIVE)."""
    keep_base(project.root / "cache")
    monkeypatch.setenv("SELAB_CACHE", str(project.root / "cache"))
    monkeypatch.setattr("selab.run.context.random_level", lambda: "s0:c1,c2")

    def ran(
        guest: ScriptedGuest,
        mode: Mode = Mode.ENFORCING,
        denials: object = "none",
        options: RunOptions = DEFAULT_OPTIONS,
    ) -> Run:
        expect = {"denials": denials}
        (project.scenarios / "web.yaml").write_text(json.dumps({**SCENARIO, "expect": expect}))
        return run(project, ReadyMachine(guest), Request("web", mode=mode), Progress(), options)

    return ran


def test_a_run_that_saw_nothing_wrong_passes(ran: Started) -> None:
    assert ran(ScriptedGuest()).verdict is Verdict.PASS


def test_runs_of_the_same_second_have_different_ids(ran: Started) -> None:
    """With four random digits, one pair in 65,536 had the same id, and the second was lost."""
    assert re.fullmatch(r"\d{8}-\d{6}-[0-9a-f]{8}", ran(ScriptedGuest()).id)


@pytest.mark.parametrize(("script", "first"), [("start", "pid 123"), ("end", "runs")])
def test_another_label_seen_at_the_start_or_at_the_end_is_an_error(
    ran: Started, script: str, first: str
) -> None:
    guest = ScriptedGuest()
    guest.answer(script, out=f"{first}\nlabel {LABEL}\nlabel system_u:system_r:helper_t:s0:c1,c2\nend\n")
    result = ran(guest)
    assert result.verdict is Verdict.ERROR and "helper_t" in result.reasons[0]


@pytest.mark.parametrize(("mode", "renewed"), [(Mode.ENFORCING, True), (Mode.PERMISSIVE, False)])
def test_the_guard_is_renewed_during_a_long_enforcing_run(
    ran: Started, monkeypatch: pytest.MonkeyPatch, mode: Mode, renewed: bool
) -> None:
    monkeypatch.setattr("selab.policy.guest.mode.RENEWAL", 0.01)
    guest = ScriptedGuest(before=lambda name: time.sleep(0.2 if name == "start" else 0))
    guest.answer("renew-guard")
    ran(guest, mode)
    assert ("renew-guard" in guest.scripts) is renewed


def test_the_mode_is_restored_after_a_run_that_breaks_off(ran: Started) -> None:
    def broken(name: str) -> None:
        if name == "start":
            raise Unreachable("The connection broke.")

    guest = ScriptedGuest(before=broken)
    with pytest.raises(Unreachable):
        ran(guest)
    assert guest.scripts[-1] == "restore-mode"


def test_the_window_is_open_before_the_candidate_is_in_force(ran: Started) -> None:
    guest = ScriptedGuest()
    ran(guest)
    stages = [
        name for name in guest.scripts if name in ("open-window", "flush-cache", "start", "close-window")
    ]
    assert stages == ["open-window", "flush-cache", "start", "close-window"]


def test_a_store_that_changed_is_surveyed_again(ran: Started) -> None:
    guest, codes = ScriptedGuest(), iter([8, 0])
    guest.answers["same-store"] = lambda words: (next(codes), "", "")
    assert ran(guest).verdict is Verdict.PASS
    assert guest.scripts.count("survey") == 2


def test_a_container_that_is_refused_is_a_fail(ran: Started) -> None:
    guest = ScriptedGuest()
    guest.answer("start", code=125, err="exec: permission denied\n")
    result = ran(guest)
    assert result.verdict is Verdict.FAIL and "permission denied" in result.reasons[0]


def test_the_document_of_a_run_says_which_entry_tolerates_a_denial(ran: Started) -> None:
    guest = ScriptedGuest()
    guest.records = DENIED
    result = ran(guest, denials=[TOLERATED])
    (row,) = document_of(result).denials
    assert (result.verdict, row.ruling.in_words) == (
        Verdict.PASS,
        "tolerated by * -> docker_t:* { * }: it inherits the file",
    )


def test_an_expected_denial_that_did_not_occur_is_in_the_document(ran: Started) -> None:
    result = ran(ScriptedGuest(), denials=[{**TOLERATED, "as": "expect"}])
    assert result.verdict is Verdict.FAIL
    assert [missing.entry for missing in document_of(result).missing] == ["* -> docker_t:* { * }"]


def test_a_failure_that_no_unexpected_denial_explains_runs_once_more_without_dontaudit(ran: Started) -> None:
    """The second run shows the tolerated denial again, which is not hidden."""
    hidden = DENIED.replace("{ use }", "{ transition }").replace("tclass=fd", "tclass=process")

    def reveal(name: str) -> None:
        if name == "start" and "start" in guest.scripts[:-1]:
            guest.records = DENIED + hidden

    guest = ScriptedGuest(before=reveal)
    guest.records = DENIED
    guest.answer("start", code=125, err="exec: permission denied\n")
    result = ran(guest, denials=[TOLERATED])
    assert [(row.denial.tclass, row.denial.permissions) for row in result.hidden] == [
        ("process", ("transition",))
    ]
    assert any("failed without an unexpected denial" in note for note in result.notes)
    assert "dontaudit rules: 1" in result.reasons[-1] and "dontaudit" in result.timings


def test_the_second_run_has_a_policy_without_dontaudit_rules_and_the_first_policy_follows(
    ran: Started,
) -> None:
    guest = ScriptedGuest()
    guest.answer("start", code=125, err="exec: permission denied\n")
    ran(guest)
    first, without, last = (words[0] for name, words in guest.calls if name == "flush-cache")
    assert first != without and last == first


def test_the_first_policy_follows_the_one_without_dontaudit_rules_also_after_an_error(ran: Started) -> None:
    def fail(name: str) -> None:
        if name == "start" and "start" in guest.scripts[:-1]:
            guest.answer("start", code=1, err="no such thing\n")

    guest = ScriptedGuest(before=fail)
    guest.answer("start", code=125, err="exec: permission denied\n")
    with pytest.raises(SelabError, match="Docker failed in an unknown way"):
        ran(guest)
    first, without, last = (words[0] for name, words in guest.calls if name == "flush-cache")
    assert first != without and last == first


def judged_in(project: Project, guest: ScriptedGuest) -> list[Run]:
    """Run a scenario in `guest` and return what was judged, also if the run failed after that."""
    runs: list[Run] = []

    def judged(result: Run) -> None:
        assert guest.scripts[-1] == "close-window"
        runs.append(result)

    keep_base(project.root / "cache")
    (project.scenarios / "web.yaml").write_text(json.dumps(SCENARIO))
    try:
        assert run(project, ReadyMachine(guest), Request("web"), Progress(), judged=judged) is runs[0]
    except SelabError as error:
        assert error.what == "The containers of the run could not be removed."
        runs.append(runs[0])
    return runs


@pytest.mark.parametrize("problem", ["", "device busy\n"])
def test_a_verdict_is_known_before_the_container_is_removed(
    project: Project, monkeypatch: pytest.MonkeyPatch, problem: str
) -> None:
    monkeypatch.setenv("SELAB_CACHE", str(project.root / "cache"))
    monkeypatch.setattr("selab.run.context.random_level", lambda: "s0:c1,c2")
    guest = ScriptedGuest()
    guest.answer("await-removal", out=problem)
    runs = judged_in(project, guest)
    assert (runs[0].verdict, len(runs)) == (Verdict.PASS, 2 if problem else 1)


def test_a_failure_with_an_unexpected_denial_does_not_run_again(ran: Started) -> None:
    guest = ScriptedGuest()
    guest.records = DENIED
    guest.answer("start", code=125, err="exec: permission denied\n")
    ran(guest)
    assert guest.scripts.count("start") == 1


def test_an_installed_policy_is_not_replaced_by_one_without_dontaudit_rules(ran: Started) -> None:
    guest = ScriptedGuest()
    guest.answer("start", code=125, err="exec: permission denied\n")
    result = ran(guest, options=RunOptions(installed=True))
    assert (guest.scripts.count("start"), result.verdict) == (1, Verdict.FAIL)


IOCTL = [
    b"type=AVC msg=audit(1.1:1): avc:  denied  { ioctl } for  pid=9 ioctlcmd=0x8910 "
    b"scontext=u:r:web_t:s0 tcontext=u:r:etc_t:s0 tclass=file permissive=0"
]


@pytest.mark.parametrize(("command", "distinguished"), [("(0x1)", True), ("", False)])
def test_a_run_distinguishes_commands_as_its_candidate_does(
    base: BasePolicy, command: str, distinguished: bool
) -> None:
    decisions = [avc for event in read_events(IOCTL) for avc in event.denials()]
    rules = f"(allowx web_t etc_t (ioctl file {command}))" if command else ""
    (row,) = _by_command(classify(Expect(), decisions), base, [module("web", rules)]).rows
    assert row.denial.by_command is distinguished


def test_a_command_that_is_known_is_not_reported_again(base: BasePolicy) -> None:
    decisions = [avc for event in read_events(IOCTL) for avc in event.denials()]
    candidate = module("web", "(allowx web_t etc_t (ioctl file (0x1)))")
    seen = _by_command(classify(Expect(), decisions), base, [candidate]).rows[0].denial.keys
    assert list(_without(decisions, seen)) == []


def test_of_a_denial_that_is_partly_known_the_rest_is_reported() -> None:
    line = IOCTL[0].replace(b"{ ioctl }", b"{ read write }")
    (avc,) = (avc for event in read_events([line]) for avc in event.denials())
    (rest,) = _without([avc], {avc.keys[0]})
    assert rest == replace(avc, permissions=("write",))


@pytest.mark.parametrize("mode", [Mode.ENFORCING, Mode.PERMISSIVE])
@pytest.mark.parametrize("enforces", [True, False])
def test_a_guest_in_the_other_mode_at_the_end_is_an_error(ran: Started, mode: Mode, enforces: bool) -> None:
    guest = ScriptedGuest()
    answered = guest.answers["close-window"]

    def close_window(words: Sequence[str]) -> tuple[int, str, str]:
        code, out, err = answered(words)
        return code, out.replace("mode 1\n", f"mode {enforces:d}\n"), err

    guest.answers["close-window"] = close_window
    result = ran(guest, mode)
    as_requested = enforces is (mode is Mode.ENFORCING)
    assert result.verdict is (Verdict.PASS if as_requested else Verdict.ERROR)
    assert (f"not {mode.value}" in result.reasons[0]) is not as_requested


def test_of_a_window_with_problems_the_mode_is_not_known(ran: Started) -> None:
    guest = ScriptedGuest()
    guest.lost = 1
    assert ran(guest, Mode.PERMISSIVE).reasons == ("the kernel lost 1 audit records",)


def test_the_denials_of_the_runs_type_and_of_the_candidates_types_are_the_scenarios() -> None:
    label = ContainerLabel("web_t", "s0:c1,c2")
    lines = [
        IOCTL[0].replace(b"u:r:web_t:s0", source.encode())
        for source in ("u:r:web_t:s0", "u:r:helper_t:s0", "u:r:web_t:s0:c7,c8", "u:r:cron_t:s0")
    ]
    containers = workload(scenario(), label).containers
    context: Any = SimpleNamespace(containers=containers, runtime=runtimes()["docker"])
    loaded = LoadedPolicy("d", True, "", frozenset({"helper_t"}))
    attribution = _attribute(context, loaded, Outcome([]), Window(tuple(lines), (), True))
    assert [row.source for row in attribution.scenario] == ["helper_t", "web_t"]
    assert sum(row.count for row in attribution.scenario) == 2


@pytest.mark.parametrize(
    ("without", "fingerprint", "changed"),
    [((), "g" * 64, True), ((), "f" * 64, False), (("web",), "g" * 64, False)],
)
def test_the_notes_say_what_the_reasons_do_not(
    base: BasePolicy,
    monkeypatch: pytest.MonkeyPatch,
    without: tuple[str, ...],
    fingerprint: str,
    changed: bool,
) -> None:
    expected = replace(base, facts=replace(base.facts, without=without, fingerprint=fingerprint))
    template = PolicyModule("net_container", OWN_TEMPLATES, {"cil": b""}, is_template=True)
    context: Any = SimpleNamespace(
        plan=SimpleNamespace(modules=[PolicyModule("web", Path(), {"cil": b""}, (template,))]),
        base=replace(base, left_out=("local boolean",), facts=replace(base.facts, replaced=("apache",))),
        runtime=SimpleNamespace(settings="/etc/docker/daemon.json"),
        contexts=SimpleNamespace(too_wide=["/(.*)?"]),
        containers=(),
    )
    monkeypatch.setattr(experiment, "never_matching", lambda *_: [("/var/run/web", "/run/web")])
    attempt: Any = SimpleNamespace(
        drift=frozenset({"settings"}),
        loaded=LoadedPolicy("d", True, "it has a macro", frozenset()),
        outcome=Outcome([ContainerOutcome(ContainerLabel("web_t", "s0:c1,c2"), from_denials=True)]),
    )
    notes = _notes(context, attempt, expected)
    words = [
        "daemon.json",
        "macro",
        "records of its denials",
        "net_container",
        "'apache'",
        "local boolean",
        "/(.*)?",
        "/var/run/web",
    ]
    assert [word in note for word, note in zip(words, notes[changed:], strict=True)] == [True] * len(words)
    assert not changed or "store has changed" in notes[0]


def test_containers_that_mcs_does_not_keep_apart_are_noted() -> None:
    of = scenario(containers={name: {"image": "x"} for name in ("db", "web", "job")})
    labels = [ContainerLabel("web_t", level) for level in ("s0:c1,c2", "s0:c1,c2", "s0:c3,c4")]
    assert experiment._shared_levels(workload(of, *labels).containers) == [
        "MCS does not keep db, web apart: they share the level s0:c1,c2."
    ]
