"""A run's summary on the terminal."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from selab.advice.advise import Advice
from selab.advice.denied_access import DeniedAccess
from selab.advice.remedy import Kind, Remedy
from selab.policy.query.decide import Cause
from selab.policy.query.risk import Level, Risk
from selab.report.terminal import show_run
from tests.unit.documents import CLASSIFIED, DENIAL, SETTLED, SEVERAL, TOLERATED, document


def shown(
    advice: list[Advice] | None = None, *, change: str = "", everything: bool | None = None, **more: Any
) -> str:
    out = Console(file=io.StringIO(), width=160, emoji=False, highlight=False)
    options: dict[str, Any] = {} if everything is None else {"everything": everything}
    show_run(document(**more), out, change=change, advice=advice or [], **options)
    return out.file.getvalue()  # type: ignore[attr-defined]


def advice(number: int, remedy: Remedy) -> Advice:
    return Advice(
        DeniedAccess(number, "web_t", "http_port_t", "tcp_socket", frozenset({"name_bind"})),
        "a missing rule",
        Cause.RULE,
        (remedy,),
    )


RUNTIMES = {**DENIAL, "source": "dockerd_t", "target": "var_lib_t"}
MACHINES = {**DENIAL, "source": "init_t", "permissions": ["name_bind", "name_connect"]}
HEAD = "web  policy web, enforcing  system_u:system_r:web_t:s0:c1,c2  run 20261123-220000-abcd"
STEPS = ["  ✗ page 1.5 s  no answer", "  ✓ log 0.1 s"]
VERDICT = ["FAIL  step 'page' failed: no answer", "      1 unexpected denial"]


def lines_of(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines()]


def test_a_summary_has_the_steps_the_denials_the_times_and_at_last_the_verdict() -> None:
    assert lines_of(shown()) == [
        HEAD,
        *STEPS,
        "     source  target:class            permissions  count  for example",
        "  1  web_t   http_port_t:tcp_socket  name_bind        1  apache2 src=80",
        "  `selab explain` explains each denial; `selab suggest` prints the rules.",
        "  seconds: 2.1  (audit 0.5  steps 1.6)",
        *VERDICT,
    ]


def test_a_summary_has_the_log_the_errors_the_notes_and_the_change() -> None:
    text = shown(
        denials=[],
        log="first [x]\nlast",
        selinux_errors=[{"kind": "setxattr", "meaning": "A label is unknown [x].", "text": "op=[y]"}],
        notes=["a [note]"],
        change="1 new [x]",
        timings={"short": 0.04, "least": 0.05, "long": 1.0},
    )
    assert lines_of(text) == [
        HEAD,
        *STEPS,
        "  the end of the log:",
        "  │ first [x]",
        "  │ last",
        "  No denials of the workload.",
        "  SELinux error: A label is unknown [x]. op=[y]",
        "  a [note]",
        "  seconds: 1.1  (least 0.1  long 1.0)",
        "  1 new [x]",
        *VERDICT,
    ]


def test_the_denials_of_others_are_counted_by_permission_and_shown_on_request() -> None:
    counted = "  Not counted: 1 of the container runtime, 2 of the rest of the machine"
    text = shown(runtime=[RUNTIMES], machine=[MACHINES])
    assert f"{counted} (`selab show 20261123-220000-abcd --all` shows them)." in lines_of(text)
    assert shown(runtime=[RUNTIMES], machine=[MACHINES], everything=False) == text
    everything = lines_of(shown(runtime=[RUNTIMES], machine=[MACHINES], everything=True))
    runtime = everything.index("  of the container runtime:")
    assert everything[runtime + 1 : runtime + 6] == [
        "  source     target:class          permissions  count  for example",
        "  dockerd_t  var_lib_t:tcp_socket  name_bind        1  apache2 src=80",
        "  of the rest of the machine:",
        "  source  target:class            permissions             count  for example",
        "  init_t  http_port_t:tcp_socket  name_bind name_connect      1  apache2 src=80",
    ]
    assert "Not counted" not in "".join(everything)


def test_an_example_says_what_else_is_known_of_the_access() -> None:
    row = {**DENIAL, "path": "/run/x", "separated": True, "raw_sources": ["u:r:gone_t"]}
    example = "apache2 /run/x src=80 (kept apart by MCS categories) (label unknown to the policy: u:r:gone_t)"
    assert f"1  {example}\n" in shown(denials=[row]).replace("  \n", "\n")


def test_denials_are_counted_as_explain_knows_them() -> None:
    lines = shown(hidden=[DENIAL]).splitlines()
    assert [line.split()[0] for line in lines if "http_port_t:tcp_socket" in line] == ["1", "2"]


def test_hidden_denials_are_counted_after_all_others() -> None:
    lines = shown(**CLASSIFIED, hidden=[TOLERATED]).splitlines()
    numbers = [line.split()[0] for line in lines if "apache2" in line]
    assert numbers == ["1", "2", "3", "4"]
    assert "  4  tolerated by * -> proc_t:file { read }: it only counts processors" in lines


def test_each_denial_has_its_best_remedy_in_a_line() -> None:
    assert "  1  corenet_bind(web_t)\n" in shown([advice(1, Remedy(Kind.INTERFACE, "corenet_bind(web_t)"))])


def test_denials_with_the_same_remedy_share_its_line() -> None:
    rules = [advice(number, Remedy(Kind.RULE, f"allow {number};")) for number in (1, 2)]
    assert "  1 2  a rule for it\n" in shown(rules)


def test_a_rule_of_risk_says_which() -> None:
    assert "risk high: it is root" in shown(
        [advice(1, Remedy(Kind.RULE, "allow x;", risk=Risk(Level.HIGH, "it is root")))]
    )


def test_the_runtimes_denials_are_shown_where_no_process_was_seen() -> None:
    no_label = {"requested": "system_u:system_r:web_t:s0", "actual": ""}
    text = shown(label=no_label, denials=[], runtime=[RUNTIMES], machine=[MACHINES])
    assert "var_lib_t" in text and "init_t" not in text


def test_tolerated_and_expected_denials_are_groups_with_their_reasons() -> None:
    lines = [line.strip() for line in shown(**CLASSIFIED).splitlines()]
    first, second = (lines.index(f"{word}, as the scenario says:") for word in ("tolerated", "expected"))
    assert [line.split()[0] for line in lines if "apache2" in line] == ["1", "2", "3"]
    assert not [line for line in lines[:first] if "proc_t" in line or "shadow_t" in line]
    assert "2  tolerated by * -> proc_t:file { read }: it only counts processors" in lines[first:second]
    assert "3  expected by web_t -> shadow_t:file { read }: passwords stay secret" in lines[second:]


def test_a_pass_with_a_tolerated_denial_has_no_unexpected_one_and_no_rules_to_suggest() -> None:
    text = shown(**SETTLED)
    assert "No unexpected denials of the workload." in text and "selab suggest" not in text


def test_no_remedy_is_shown_for_a_tolerated_denial() -> None:
    run = document(**SETTLED)
    access = DeniedAccess(1, "web_t", "proc_t", "file", frozenset({"read"}), ruling=run.denials[0].ruling)
    leave = Advice(access, "a missing rule", Cause.RULE, (Remedy(Kind.LEAVE, "Leave it denied"),))
    assert "Leave it denied" not in shown([leave], **SETTLED)


def test_a_hidden_denial_says_what_the_scenario_says() -> None:
    assert "1  tolerated by" in shown(denials=[], hidden=[TOLERATED])


@pytest.mark.parametrize(("verdict", "complete"), [("ERROR", False), ("FAIL", True), ("PASS", True)])
def test_that_nothing_was_denied_is_said_only_if_everything_was_observed(
    verdict: str, complete: bool
) -> None:
    assert ("No denials of the workload." in shown(denials=[], verdict=verdict)) is complete


def test_several_containers_are_listed_with_their_labels() -> None:
    lines = shown(**SEVERAL).splitlines()
    assert lines[0].rstrip() == "web  policy web, db, enforcing  run 20261123-220000-abcd"
    assert lines[2] == "  back  policy db, system_u:system_r:db_t:s0:c1,c2"
