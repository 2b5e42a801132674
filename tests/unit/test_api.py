"""Runs from Python, in the words of a test."""

from __future__ import annotations

import contextlib
import json
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

import selab
from selab.api import Inconclusive, Pattern, Result, Selab
from selab.errors import InputError, SelabError
from selab.history import History
from selab.project import Project
from selab.run.conversion import document_of
from selab.run.experiment import Run
from selab.run.request import RunOptions
from tests.unit.documents import CLASSIFIED, DENIAL, SETTLED, document
from tests.unit.fakes import ReadyMachine, ScriptedGuest, keep_base

SHADOW = {
    **DENIAL,
    "target": "shadow_t",
    "class": "file",
    "permissions": ["open", "read"],
    "comm": "cat\x1b[31m",
    "path": "/etc/shadow",
}


@pytest.fixture
def result(project: Project) -> Callable[..., Result]:
    """A result out of thin air."""
    run = cast(Run, types.SimpleNamespace(loaded=types.SimpleNamespace(types=frozenset({"web_t"}))))
    return lambda **more: Result(run, document(**more), project)


@pytest.fixture
def runner(project: Project, monkeypatch: pytest.MonkeyPatch) -> Selab:
    """A runner with a guest that nothing is ever denied in."""
    keep_base(project.root / "cache")
    monkeypatch.setenv("SELAB_CACHE", str(project.root / "cache"))
    monkeypatch.setattr("selab.run.context.random_level", lambda: "s0:c1,c2")
    scenario: dict[str, Any] = {"image": "registry.test/x:1", "label": {"type": "web_t"}}
    (project.scenarios / "web.yaml").write_text(json.dumps(scenario))
    return Selab(project, ReadyMachine(ScriptedGuest()))


def test_a_run_that_passes_is_a_pass(runner: Selab) -> None:
    runner.run("web").assert_pass()


def test_a_run_is_in_the_history(runner: Selab) -> None:
    done = runner.run("web")
    assert History.of(runner.project).find("last").document == done.document == document_of(done.run)


def test_each_run_has_its_own_times(runner: Selab) -> None:
    assert runner.run("web").run.timings is not runner.run("web").run.timings


def test_a_run_that_does_not_pass_fails_the_test(runner: Selab) -> None:
    expected = {"denials": [{"source": "web_t", "as": "expect", "reason": "it should"}]}
    (runner.project.scenarios / "strict.yaml").write_text(
        json.dumps({"image": "x.test/x:1", "label": {"type": "web_t"}, "expect": expected})
    )
    with pytest.raises(AssertionError, match="an expected denial did not occur"):
        runner.run("strict").assert_pass()


def test_what_was_not_seen_is_no_failure_of_the_policy(runner: Selab) -> None:
    """The guest says that it is enforcing, which a permissive run takes for a doubt."""
    with pytest.raises(Inconclusive, match="the guest was not permissive") as error:
        runner.run("web", mode="permissive")
    assert not isinstance(error.value, AssertionError) and error.value.result.verdict == "ERROR"


def test_the_run_itself_is_to_be_had_with_any_verdict(runner: Selab) -> None:
    assert runner.execute("web", mode="permissive").verdict == "ERROR"


def test_a_container_is_kept_only_on_request(runner: Selab) -> None:
    assert runner.run("web", keep=True).run.plan.request.keep
    assert not runner.run("web").run.plan.request.keep
    assert not runner.execute("web").plan.request.keep


def test_the_tests_of_selab_can_do_something_after_the_steps(runner: Selab) -> None:
    called: list[str] = []
    runner.execute("web", options=RunOptions(after_steps=lambda: called.append("after")))
    assert called == ["after"]


def test_a_mode_that_there_is_none_of_is_refused(runner: Selab) -> None:
    with pytest.raises(InputError, match="'enforcing'"):
        runner.run("web", mode="enforced")


def test_an_error_comes_without_how_selab_came_to_it(runner: Selab) -> None:
    with pytest.raises(SelabError) as error:
        runner.run("nowhere")
    # Of selab there is only `run`, which pytest does not show; mutmut calls it through its trampoline.
    names = {entry.path.name for entry in error.traceback}
    assert names - {"trampoline.py"} == {Path(__file__).name, "api.py"}


def test_a_failure_names_the_denials_and_where_to_read_on(result: Callable[..., Result]) -> None:
    with pytest.raises(AssertionError) as error:
        result().assert_pass()
    message = str(error.value)
    assert "denials:\n  1  web_t http_port_t:tcp_socket { name_bind }  apache2 src=80\n" in message
    assert "explain 20261123-220000-abcd" in message and "step 'page' failed: no answer" in message


def test_a_failure_without_denials_shows_the_run(result: Callable[..., Result]) -> None:
    with pytest.raises(AssertionError) as error:
        result(denials=[]).assert_pass()
    *_, denials, command = str(error.value).splitlines()
    assert denials == "no denials" and "show 20261123-220000-abcd`" in command


def test_an_inconclusive_run_has_its_reasons_and_the_command_that_shows_it(
    result: Callable[..., Result], project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.root)
    error = Inconclusive(result(verdict="ERROR", reasons=["records lost", "late"]))
    assert "ERROR (run 20261123-220000-abcd)" in error.what
    assert (error.detail, "`selab show 20261123-220000-abcd`" in error.hint) == ("records lost; late", True)


def test_a_failure_says_nothing_that_a_terminal_would_act_on(result: Callable[..., Result]) -> None:
    with pytest.raises(AssertionError, match=r"cat\\x1b\[31m") as error:
        result(denials=[SHADOW]).assert_pass()
    assert "\x1b" not in str(error.value)


def test_the_command_finds_the_project_from_elsewhere(
    result: Callable[..., Result], project: Project, tmp_path: Path
) -> None:
    assert result().command("explain") == f"selab -C {project.root} explain 20261123-220000-abcd"


def test_from_inside_the_project_the_command_needs_no_option(
    result: Callable[..., Result], project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.policies)
    assert result().command("explain") == "selab explain 20261123-220000-abcd"


@pytest.mark.parametrize(
    ("verdict", "passes", "fails"),
    [("PASS", True, False), ("FAIL", False, True), ("ERROR", False, False)],
)
def test_an_error_is_neither_a_pass_nor_a_fail(
    result: Callable[..., Result], verdict: str, passes: bool, fails: bool
) -> None:
    run = result(verdict=verdict)
    for holds, check, word in ((passes, run.assert_pass, "PASS"), (fails, run.assert_fail, "FAIL")):
        with (
            contextlib.nullcontext() if holds else pytest.raises(AssertionError, match=f"{word} was expected")
        ):
            check()


def test_a_run_can_be_under_another_policy(runner: Selab) -> None:
    with pytest.raises(InputError, match="'app'"):
        runner.run("web", policy="app")


@pytest.mark.parametrize(
    "pattern",
    [
        {},
        {"source": "web_t"},
        {"target": "shadow_t", "tclass": "file"},
        {"permission": "open"},
        {"source": "web_t", "permission": "read"},
    ],
)
def test_what_was_denied_is_found(pattern: dict[str, str], result: Callable[..., Result]) -> None:
    result(denials=[SHADOW]).assert_denied(**pattern)
    with pytest.raises(AssertionError, match="denied: web_t shadow_t:file"):
        result(denials=[SHADOW]).assert_not_denied(**pattern)


@pytest.mark.parametrize(
    "pattern", [{"source": "other_t"}, {"target": "self"}, {"permission": "write"}, {"tclass": "dir"}]
)
def test_what_was_not_denied_is_not_found(pattern: dict[str, str], result: Callable[..., Result]) -> None:
    result(denials=[SHADOW]).assert_not_denied(**pattern)
    with pytest.raises(AssertionError, match="was not denied"):
        result(denials=[SHADOW]).assert_denied(**pattern)


def test_self_is_the_source(result: Callable[..., Result]) -> None:
    outcome = result(denials=[{**DENIAL, "target": "web_t"}])
    for target in ("self", "web_t"):
        outcome.assert_denied(target=target)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "* *:* *"),
        ({"source": "a_t", "target": "b_t", "tclass": "file", "permission": "read"}, "a_t b_t:file read"),
        ({"classification": "expected"}, "* *:* * (expected)"),
    ],
)
def test_a_pattern_shows_what_it_leaves_open(fields: dict[str, str], text: str) -> None:
    assert str(Pattern(**fields)) == text


def test_a_denial_that_dontaudit_hides_is_one(result: Callable[..., Result]) -> None:
    outcome = result(denials=[], hidden=[SHADOW])
    outcome.assert_denied(target="shadow_t")
    with pytest.raises(AssertionError, match="hidden by dontaudit"):
        outcome.assert_not_denied(target="shadow_t")


def test_an_unknown_word_is_refused() -> None:
    with pytest.raises(TypeError):
        Pattern(taget="shadow_t")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "pattern", [{"source": "web"}, {"target": "shadow"}, {"tclass": "fil"}, {"permission": "raed"}]
)
def test_a_name_that_the_policy_lacks_cannot_be_said_not_to_be_denied(
    pattern: dict[str, str], runner: Selab
) -> None:
    done = runner.run("web")
    with pytest.raises(InputError, match="The policy in force has no"):
        done.assert_not_denied(**pattern)


def test_names_that_the_policy_has_can(runner: Selab) -> None:
    runner.run("web").assert_not_denied(source="web_t", target="self")


def test_the_python_interface_is_exported_by_the_package() -> None:
    assert (selab.Selab, selab.Result, selab.Inconclusive) == (Selab, Result, Inconclusive)


def test_a_name_that_the_package_does_not_export_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = selab.nonsense


def test_a_test_may_ask_for_unexpected_denials_only(result: Callable[..., Result]) -> None:
    assert [row.target for row in result(**CLASSIFIED).unexpected] == ["http_port_t"]
    result(**SETTLED).assert_not_denied(classification="unexpected")
    with pytest.raises(AssertionError, match="denied: web_t http_port_t"):
        result(**CLASSIFIED).assert_not_denied(classification="unexpected")


def test_an_expected_denial_was_denied(result: Callable[..., Result]) -> None:
    result(**SETTLED).assert_denied(target="shadow_t")
    result(**SETTLED).assert_denied(target="shadow_t", classification="expected")
    with pytest.raises(AssertionError, match=r"\(unexpected\) was not denied"):
        result(**SETTLED).assert_denied(target="shadow_t", classification="unexpected")


def test_a_classification_that_there_is_none_of_is_refused(result: Callable[..., Result]) -> None:
    for check in (result().assert_denied, result().assert_not_denied):
        with pytest.raises(InputError, match="selab has no classification 'surprising'"):
            check(classification="surprising")


def test_a_failure_says_which_denials_are_tolerated(result: Callable[..., Result]) -> None:
    with pytest.raises(AssertionError, match="tolerated by .* it only counts processors"):
        result(**CLASSIFIED).assert_pass()
