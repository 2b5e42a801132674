"""What an expert says to a denial, and in which order."""

from __future__ import annotations

from dataclasses import replace

import pytest

from selab.advice.advise import Advice, Situation, Volume, advise, applicable
from selab.advice.denied_access import DeniedAccess
from selab.advice.knowledge import PolicyKnowledge
from selab.advice.remedy import Kind, Remedy
from selab.auditlog.classification import ANY, Classification, Ruling
from selab.policy.query.decide import Cause
from selab.policy.query.risk import Level
from tests.unit.advice.conftest import need

RUN = Situation("app_t", (Volume("/data"),), "volume_t")


def only(
    denied: DeniedAccess, expert: PolicyKnowledge, cause: Cause = Cause.RULE, situation: Situation = RUN
) -> Advice:
    return advise([denied], expert, {denied.number: cause}, situation)[0]


def test_an_interface_that_grants_it_comes_before_the_rule(expert: PolicyKnowledge) -> None:
    advice = only(need("app_t", "etc_t", "file", "read", "open"), expert)
    assert [remedy.text for remedy in advice.remedies[:2]] == [
        "read_etc(app_t)",
        "allow app_t etc_t:file { open read };",
    ]


def test_what_comes_with_an_interface_is_counted(expert: PolicyKnowledge) -> None:
    best = only(need("app_t", "etc_t", "file", "read", "open"), expert).best
    assert best is not None and best.excess == 1


def test_what_another_denial_asks_for_is_no_excess(expert: PolicyKnowledge) -> None:
    denied = [
        need("app_t", "etc_t", "file", "read", "open"),
        need("app_t", "etc_t", "file", "getattr", number=2),
    ]
    best = advise(denied, expert, {}, RUN)[0].best
    assert best is not None and best.excess == 0


@pytest.mark.parametrize(
    "name", ["read_etc_template(app_t)", "read_etc_and_change(app_t)", "read_but_shadow(app_t)"]
)
def test_no_interface_is_offered_that_does_something_else_or_leaves_it_out(
    name: str, expert: PolicyKnowledge
) -> None:
    assert name not in [
        remedy.text for remedy in only(need("app_t", "etc_t", "file", "read"), expert).remedies
    ]


def test_a_dangerous_interface_is_not_offered_for_a_harmless_rule(expert: PolicyKnowledge) -> None:
    assert "read_all(app_t)" not in [
        remedy.text for remedy in only(need("app_t", "etc_t", "file", "read"), expert).remedies
    ]


def test_to_leave_it_denied_is_the_best_where_the_rule_is_dangerous(expert: PolicyKnowledge) -> None:
    best = only(need("app_t", "shadow_t", "file", "read"), expert).best
    assert best is not None and (best.kind, best.risk.level) == (Kind.LEAVE, Level.HIGH)


def test_a_boolean_comes_before_rules(expert: PolicyKnowledge) -> None:
    best = only(need("web_t", "home_t", "file", "read"), expert, Cause.BOOLEAN).best
    assert best is not None and best.text == "setsebool -P may_read_homes on"


def test_a_file_that_is_labelled_otherwise_than_its_path_says_is_to_be_relabelled(
    expert: PolicyKnowledge,
) -> None:
    best = only(need("web_t", "home_t", "file", "read", path="/srv/www/index.html"), expert).best
    assert best is not None and best.text == "restorecon -v /srv/www/index.html"


@pytest.mark.parametrize(
    ("path", "permission"),
    [("/srv/www/index.html", "write"), ("/srv/other", "read")],
    ids=["more than the other type allows", "a type that allows nothing"],
)
def test_a_label_that_would_not_allow_the_access_is_not_restored(
    path: str, permission: str, expert: PolicyKnowledge
) -> None:
    advice = only(need("web_t", "home_t", "file", permission, path=path), expert)
    assert Kind.RELABEL not in [remedy.kind for remedy in advice.remedies]


def test_a_path_in_a_container_is_not_one_of_the_machine(expert: PolicyKnowledge) -> None:
    advice = only(need("app_t", "home_t", "file", "read", path="/srv/www/index.html"), expert)
    assert Kind.RELABEL not in [remedy.kind for remedy in advice.remedies]


def test_a_volume_with_a_foreign_label_is_to_be_labelled(expert: PolicyKnowledge) -> None:
    best = only(need("app_t", "home_t", "file", "write", path="/data/dump"), expert).best
    assert best is not None and best.text == "label: private  (the volume /data)"


def test_a_port_gets_the_type_of_the_domains_ports(expert: PolicyKnowledge) -> None:
    best = only(need("web_t", "other_port_t", "tcp_socket", "name_bind", detail="src=8001"), expert).best
    assert best is not None and best.text == "semanage port -a -t web_port_t -p tcp 8001"


def test_mcs_separation_is_never_answered_by_a_rule(expert: PolicyKnowledge) -> None:
    advice = only(need("app_t", "volume_t", "file", "read", separated=True), expert)
    assert (advice.cause, [remedy.is_policy for remedy in advice.remedies]) == (Cause.MCS, [False])


@pytest.mark.parametrize("cause", [Cause.CONSTRAINT, Cause.ROLE, Cause.BOUNDS, Cause.UNKNOWN])
def test_what_no_rule_lifts_gets_no_rule(cause: Cause, expert: PolicyKnowledge) -> None:
    assert not any(
        remedy.is_policy for remedy in only(need("app_t", "etc_t", "file", "read"), expert, cause).remedies
    )


def test_no_new_privileges_is_named(expert: PolicyKnowledge) -> None:
    assert only(need("app_t", "web_t", "process2", "nnp_transition"), expert).stopped.startswith(
        "no-new-privileges"
    )


def test_what_is_allowed_by_now_needs_nothing(expert: PolicyKnowledge) -> None:
    advice = only(need("app_t", "etc_t", "file", "read"), expert, Cause.NONE)
    assert (advice.allowed_now, advice.remedies) == (True, ())


@pytest.mark.parametrize(("risky", "count"), [(False, 0), (True, 1)])
def test_what_is_dangerous_is_applied_only_when_it_is_asked_for(
    risky: bool, count: int, expert: PolicyKnowledge
) -> None:
    assert (
        len(applicable([only(need("app_t", "self", "capability", "sys_admin"), expert)], risky=risky))
        == count
    )


def test_what_a_label_would_mend_is_left_to_a_person(expert: PolicyKnowledge) -> None:
    assert applicable([only(need("app_t", "home_t", "file", "write", path="/data/dump"), expert)]) == []


def test_a_denial_in_words() -> None:
    sentence = need("app_t", "shadow_t", "file", "read", comm="cat", path="/etc/shadow").in_words
    assert sentence == "cat (app_t) asked to read the file /etc/shadow, which is labelled shadow_t"


def test_what_every_transition_is_denied_on_purpose_is_left_denied(expert: PolicyKnowledge) -> None:
    denied = DeniedAccess(1, "web_t", "app_t", "process", frozenset({"noatsecure", "siginh"}), hidden=True)
    assert [remedy.kind for remedy in only(denied, expert).remedies] == [Kind.LEAVE]


def test_a_file_without_a_label_is_to_be_relabelled(expert: PolicyKnowledge) -> None:
    best = only(need("web_t", "unlabeled_t", "file", "read", path="/srv/www/index.html"), expert).best
    assert best is not None and best.text == "restorecon -v /srv/www/index.html"


def test_a_file_system_without_labels_is_not_relabelled(expert: PolicyKnowledge) -> None:
    advice = only(need("web_t", "nfs_t", "file", "read", path="/srv/www/index.html"), expert)
    assert Kind.RELABEL not in [remedy.kind for remedy in advice.remedies]


def test_a_port_of_others_keeps_its_type_where_a_boolean_allows_it(expert: PolicyKnowledge) -> None:
    advice = only(need("web_t", "other_port_t", "tcp_socket", "name_connect", detail="dest=81"), expert)
    assert advice.best is not None and advice.best.kind is Kind.BOOLEAN


@pytest.mark.parametrize(("target", "advised"), [("etc_t", []), ("home_t", ["restorecon -v /srv/www/x"])])
def test_a_directory_of_the_machine_is_never_made_a_containers_own(
    target: str, advised: list[str], expert: PolicyKnowledge
) -> None:
    machine = Situation(
        "web_t", (Volume("/machine", "/srv/www" if target == "home_t" else "/srv"),), "volume_t"
    )
    advice = only(need("web_t", target, "file", "read", path="/machine/x"), expert, situation=machine)
    assert [remedy.text for remedy in advice.remedies if remedy.kind is Kind.RELABEL] == advised


def test_what_another_line_grants_already_is_not_suggested(expert: PolicyKnowledge) -> None:
    denied = [need("app_t", "etc_t", "file", "read"), need("app_t", "home_t", "file", "read", number=2)]
    advice = advise(denied, expert, {}, RUN)
    wide = Remedy(
        Kind.INTERFACE, "read_both(app_t)", covers=frozenset(denied_access.key for denied_access in denied)
    )
    chosen = applicable([replace(advice[0], remedies=(wide,)), advice[1]])
    assert [remedy.text for _, remedy in chosen] == ["read_both(app_t)"]


def test_an_interface_says_what_else_it_grants_that_was_asked_for(expert: PolicyKnowledge) -> None:
    denied = [need("app_t", "etc_t", "file", "read"), need("app_t", "home_t", "file", "read", number=2)]
    everything = next(
        remedy for remedy in advise(denied, expert, {}, RUN)[0].remedies if remedy.text == "read_etc(app_t)"
    )
    assert everything.covers == {("app_t", "etc_t", "file")}


TOLERATED = Ruling(Classification.TOLERATED, "* -> etc_t:* { * }", "harmless")
EXPECTED = Ruling(Classification.EXPECTED, "* -> etc_t:* { * }", "it is secret")


@pytest.mark.parametrize("ruling", [TOLERATED, EXPECTED])
def test_a_denial_that_the_scenario_settles_is_left_as_it_is(ruling: Ruling, expert: PolicyKnowledge) -> None:
    remedies = only(need("app_t", "etc_t", "file", "read", ruling=ruling), expert).remedies
    assert [(remedy.kind, remedy.why) for remedy in remedies] == [(Kind.LEAVE, ruling.in_words)]


def test_it_says_that_the_steps_succeeded_without_the_access(expert: PolicyKnowledge) -> None:
    situation = replace(RUN, works_without=True)
    best = only(need("app_t", "etc_t", "file", "read", ruling=TOLERATED), expert, situation=situation).best
    assert best is not None and best.why.endswith("; the steps succeeded without it")


def test_a_denial_that_only_any_tolerates_has_remedies(expert: PolicyKnowledge) -> None:
    ruling = Ruling(Classification.TOLERATED, ANY, "any denial")
    best = only(need("app_t", "etc_t", "file", "read", ruling=ruling), expert).best
    assert best is not None and best.kind is Kind.INTERFACE


def test_no_rule_allows_on_one_path_what_stays_denied_on_another(expert: PolicyKnowledge) -> None:
    denied = [
        need("app_t", "etc_t", "file", "read"),
        need("app_t", "etc_t", "file", "read", number=2, ruling=EXPECTED),
    ]
    advised = advise(denied, expert, {}, RUN)
    assert applicable(advised) == []
    assert "whose denial the scenario expects" in advised[0].in_a_line


def test_what_stopped_a_settled_access_is_still_said(expert: PolicyKnowledge) -> None:
    denied = need("app_t", "etc_t", "file", "read", ruling=TOLERATED, separated=True)
    assert only(denied, expert).stopped.startswith("MCS separation")
