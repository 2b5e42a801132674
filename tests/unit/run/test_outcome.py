"""What became of a workload."""

from __future__ import annotations

import pytest

from selab.auditlog.attribution import RefusedEntry
from selab.container.label import ContainerLabel
from selab.container.runtime import runtimes
from selab.container.steps import StepResult
from selab.run.outcome import ContainerOutcome, Outcome, label_doubts

LABEL = ContainerLabel("web_t", "s0:c1,c2")
DRAWN = ContainerLabel("web_t", "s0:c1,c2", at_random=True)
OTHER = "system_u:system_r:helper_t:s0:c1,c2"


RUNTIME = "system_u:system_r:container_runtime_t:s0"
REFUSED = RefusedEntry(LABEL.context, RUNTIME)


def concluded(
    label: ContainerLabel, *ran_as: str, entry: RefusedEntry | None = None, **seen: object
) -> Outcome:
    of_run = {key: seen.pop(key) for key in ("steps",) if key in seen}
    outcome = Outcome([ContainerOutcome(label, **seen)], **of_run)  # type: ignore[arg-type]
    entries = frozenset({entry} if entry else ())
    outcome.conclude(runtimes()["docker"], frozenset(ran_as), entries)
    return outcome


def test_the_requested_label_leaves_no_doubt() -> None:
    assert label_doubts(LABEL, frozenset({"system_u:system_r:web_t:s0:c1,c2"})) == []


def test_another_type_is_a_doubt() -> None:
    (doubt,) = label_doubts(LABEL, frozenset({"system_u:system_r:spc_t:s0"}))
    assert "ran as system_u:system_r:spc_t:s0" in doubt and "not as web_t:s0:c1,c2" in doubt


def test_another_level_is_a_doubt() -> None:
    assert label_doubts(LABEL, frozenset({"system_u:system_r:web_t:s0"})) != []


def test_a_label_that_was_not_observed_is_a_doubt() -> None:
    assert label_doubts(LABEL, frozenset()) != []


def test_docker_that_stops_answering_is_a_doubt() -> None:
    steps = [StepResult("get", False, 0.1, "Cannot connect to the Docker daemon at x")]
    (doubt,) = concluded(LABEL, labels=frozenset({LABEL.context}), steps=steps).doubts
    assert "Docker" in doubt and "'get'" in doubt


def test_a_container_that_outlived_its_removal_is_a_failure() -> None:
    outcome = concluded(LABEL, labels=frozenset({LABEL.context}), outlived=True)
    assert outcome.failures == [
        "the container runtime could not end the container, so selab killed its processes"
    ]


def test_a_container_that_was_refused_has_no_label_to_doubt() -> None:
    outcome = concluded(DRAWN, refused="no such file")
    (failure,) = outcome.failures
    assert "no such file" in failure and outcome.doubts == []


def test_denials_show_a_label_that_could_not_be_read() -> None:
    outcome = concluded(DRAWN, DRAWN.context)
    assert (outcome.doubts, outcome.labels, outcome.containers[0].from_denials) == ([], {DRAWN.context}, True)


def test_a_label_that_only_denials_show_is_not_enough_for_a_pass() -> None:
    assert len(concluded(DRAWN, DRAWN.context).reservations) == 1


def test_a_level_that_another_container_may_have_shows_nothing() -> None:
    outcome = concluded(LABEL, LABEL.context)
    assert (outcome.doubts, outcome.labels, outcome.containers[0].from_denials) == (
        label_doubts(LABEL, frozenset()),
        frozenset(),
        False,
    )


def test_denials_of_another_domain_alone_show_nothing() -> None:
    outcome = concluded(DRAWN, OTHER)
    assert (outcome.doubts, outcome.labels) == (label_doubts(DRAWN, frozenset()), frozenset())


def test_a_process_in_another_domain_than_the_requested_one_is_a_doubt() -> None:
    assert concluded(DRAWN, DRAWN.context, OTHER).doubts == [
        f"a process of the container ran as {OTHER}, not as web_t:s0:c1,c2"
    ]


def test_a_label_that_was_read_is_not_from_denials() -> None:
    outcome = concluded(DRAWN, DRAWN.context, labels=frozenset({DRAWN.context}))
    assert (outcome.containers[0].from_denials, outcome.reservations) == (False, ())


@pytest.mark.parametrize("other", ["a_t", "zzz_t"])
def test_another_label_is_a_doubt_wherever_it_sorts(other: str) -> None:
    seen = frozenset({LABEL.context, f"system_u:system_r:{other}:s0:c1,c2"})
    assert [other in doubt for doubt in label_doubts(LABEL, seen)] == [True]


def test_each_of_several_other_labels_is_a_doubt() -> None:
    seen = {LABEL.context, OTHER, "system_u:system_r:web_t:s0"}
    assert len(label_doubts(LABEL, frozenset(seen))) == 2


def test_a_step_that_fails_after_one_that_succeeds_is_a_failure() -> None:
    steps = [StepResult("first", True, 0.1), StepResult("second", False, 0.1, "no answer")]
    outcome = concluded(LABEL, labels=frozenset({LABEL.context}), steps=steps)
    assert outcome.failures == ["step 'second' failed: no answer"]


def test_a_step_that_was_not_observed_is_a_doubt_and_no_failure() -> None:
    steps = [StepResult("read", False, 0.1, "its output is too long", observed=False)]
    outcome = concluded(LABEL, labels=frozenset({LABEL.context}), steps=steps)
    assert outcome.failures == []
    assert outcome.doubts == ["selab could not observe the step 'read': its output is too long"]


@pytest.mark.parametrize("seen", [frozenset(), {RUNTIME}], ids=["nothing", "the runtime's own process"])
def test_a_domain_that_the_container_may_not_enter_is_a_failure_and_no_doubt(seen: frozenset[str]) -> None:
    outcome = concluded(DRAWN, entry=REFUSED, labels=frozenset(seen))
    assert (len(outcome.failures), outcome.doubts) == (1, [])


@pytest.mark.parametrize(
    ("label", "refused", "labels"),
    [
        (LABEL, REFUSED, frozenset()),
        (DRAWN, REFUSED._replace(into=OTHER), frozenset()),
        (DRAWN, REFUSED, frozenset({OTHER})),
        (DRAWN, REFUSED, frozenset({RUNTIME, OTHER})),
    ],
    ids=[
        "a level of the scenario's",
        "another domain",
        "another label",
        "another label beside the runtime's",
    ],
)
def test_a_refused_transition_explains_only_a_label_of_this_run_that_was_not_seen(
    label: ContainerLabel, refused: RefusedEntry, labels: frozenset[str]
) -> None:
    outcome = concluded(label, entry=refused, labels=labels)
    assert (outcome.failures, outcome.doubts) == ([], label_doubts(label, labels))


WEB = ContainerLabel("web_t", "s0:c1,c2", at_random=True)
DB = ContainerLabel("db_t", "s0:c3,c4", at_random=True)


def of_two(
    *ran_as: str, web: dict[str, object], db: dict[str, object], db_label: ContainerLabel = DB
) -> Outcome:
    """The outcome of a run with the containers web and db."""
    outcome = Outcome(
        [
            ContainerOutcome(WEB, "web", may_end=False, **web),  # type: ignore[arg-type]
            ContainerOutcome(db_label, "db", may_end=False, **db),  # type: ignore[arg-type]
        ]
    )
    outcome.conclude(runtimes()["docker"], frozenset(ran_as))
    return outcome


FINE = {"labels": frozenset({WEB.context})}


def test_each_container_has_to_prove_its_own_label() -> None:
    outcome = of_two(web=FINE, db={"labels": frozenset({WEB.context})})
    (doubt,) = outcome.doubts
    assert doubt == f"a process of the container 'db' ran as {WEB.context}, not as db_t:s0:c3,c4"


def test_a_container_without_a_label_is_named() -> None:
    (doubt,) = of_two(web=FINE, db={}).doubts
    assert doubt.startswith("the container 'db' ended before")


def test_the_denials_of_one_container_do_not_prove_the_label_of_the_other() -> None:
    outcome = of_two(DB.context, web={}, db={})
    assert [each.from_denials for each in outcome.containers] == [False, True]
    assert [doubt[:19] for doubt in outcome.doubts] == ["the container 'web'"]


def test_denials_prove_no_label_that_two_containers_have() -> None:
    outcome = of_two(WEB.context, web={}, db={}, db_label=WEB)
    assert [each.from_denials for each in outcome.containers] == [False, False]


def test_a_container_that_ends_before_the_run_is_a_failure() -> None:
    outcome = of_two(web=FINE, db={"labels": frozenset({DB.context}), "ended": 3})
    assert outcome.failures == ["the container 'db' ended with exit code 3 before the run was over"]


INIT = "system_u:system_r:init_t:s0"
DAEMON = ContainerLabel("web_t", "s0")
RAN = frozenset({DAEMON.context})


def test_the_end_of_a_service_is_a_failure_that_names_the_unit() -> None:
    end = "ended (its main process ended with status 3)"
    outcome = concluded(DAEMON, unit="web.service", may_end=False, labels=RAN, ended=3, end=end)
    assert outcome.failures == [f"the service web.service {end} before the run was over"]


def test_one_of_several_services_is_named_with_its_unit() -> None:
    outcome = concluded(DAEMON, unit="web.service", title="web", refused="did not start: no")
    assert outcome.failures == ["the service 'web' (web.service) did not start: no"]


def test_a_service_that_systemd_restarted_is_a_failure() -> None:
    outcome = concluded(DAEMON, unit="web.service", labels=RAN, restarted="once")
    assert outcome.failures == ["systemd restarted the service web.service once"]


def test_a_service_that_did_not_leave_the_domain_of_systemd_is_a_doubt() -> None:
    outcome = concluded(DAEMON, INIT, unit="web.service", labels=frozenset({INIT}))
    assert outcome.doubts == [f"a process of the service web.service ran as {INIT}, not as web_t:s0"]


def test_denials_do_not_prove_the_domain_of_a_service() -> None:
    outcome = concluded(DAEMON, DAEMON.context, unit="web.service")
    assert (outcome.labels, len(outcome.doubts)) == (frozenset(), 1)


def test_of_a_run_that_ended_at_a_container_the_others_are_named_only_if_they_did_not_start() -> None:
    outcome = of_two(web={}, db={})
    outcome.refuse("db", "did not start: no", ["web"])
    assert [each.refused for each in outcome.containers] == ["", "did not start: no"]
    outcome.refuse("db", "did not start: no", [])
    assert [each.refused for each in outcome.containers] == ["was not started", "did not start: no"]
