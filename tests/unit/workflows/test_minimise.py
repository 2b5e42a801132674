"""The search for the smallest policy, without a VM: each line of a policy grants the access of its name."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from selab.errors import SelabError
from selab.policy.guest.load import Mode
from selab.policy.query.decide import Access, Cause, Decision
from selab.progress import Progress
from selab.project import Project
from selab.run.document import RunDocument
from selab.run.replay import Replay
from selab.run.verdict import Verdict
from selab.workflows import minimise
from selab.workflows.minimise import OutOfRuns, RunInconclusive, Search
from tests.unit.documents import document

NAMES = ("one", "two", "three", "four")
TE = "".join(f"allow a_t {name}_t:file read;\n" for name in NAMES)


def entry(name: str) -> dict[str, object]:
    denial = {
        "source": "a_t",
        "target": f"{name}_t",
        "class": "file",
        "permissions": ["read"],
        "count": 1,
        "permissive": True,
    }
    return {**denial, "evidence": [("u:r:a_t:s0", f"u:r:{name}_t:s0")]}


IOCTL = {"permissions": ["ioctl"], "commands": ["0x1", "0x2"]}


class FakeBench:
    """Runs and queries without a VM.

    tried: what the workload requests in a permissive run.
    late: what it requests only in enforcing mode.
    silent: what it needs without a denial that shows it.
    hidden: what is denied only with dontaudit rules off.
    tolerated: what may be denied, as the scenario says.
    """

    def __init__(self, tried: Iterable[str], *, budget: int = 20, **more: Iterable[str]) -> None:
        self.tried = frozenset(tried)
        self.late, self.silent, self.hidden, self.tolerated = (
            frozenset(more.get(name, ())) for name in ("late", "silent", "hidden", "tolerated")
        )
        self.progress, self.budget, self.runs, self.questions = Progress(), budget, [], 0

    def run(self, te: str, mode: Mode = Mode.ENFORCING) -> RunDocument:
        if len(self.runs) >= self.budget:
            raise OutOfRuns
        missing = {name for name in NAMES if f"{name}_t" not in te}
        denied = missing & (self.tried if mode is Mode.PERMISSIVE else self.tried | self.late)
        failed = denied - self.tolerated | missing & self.silent
        hidden = missing & self.hidden if failed and not denied and mode is Mode.ENFORCING else set()
        verdict = Verdict.FAIL if failed else Verdict.PASS
        denials = [
            entry(name) | ({"classification": "tolerated", "entry": name} if name in self.tolerated else {})
            for name in denied
        ]
        self.runs.append(document(verdict=verdict, mode=mode, denials=denials, hidden=[*map(entry, hidden)]))
        return self.runs[-1]

    def passes(self, te: str) -> bool:
        return self.run(te).verdict is Verdict.PASS

    def ask(self, te: str, requested: Iterable[Access]) -> Replay:
        self.questions += 1
        return Replay(
            tuple(
                Decision(access, Cause.NONE if access.target.split(":")[2] in te else Cause.RULE)
                for access in requested
            )
        )


def left(bench: FakeBench) -> tuple[str, ...]:
    search = Search(bench, TE)  # type: ignore[arg-type]
    search.go()
    return tuple(name for name in NAMES if f"{name}_t" in search.proven)


def test_what_the_workload_tries_is_left() -> None:
    assert left(FakeBench({"two"})) == ("two",)


def test_that_takes_two_runs() -> None:
    bench = FakeBench({"two"})
    left(bench)
    assert [run.mode for run in bench.runs] == [Mode.PERMISSIVE, Mode.ENFORCING]


def test_what_it_tries_only_in_enforcing_mode_comes_back() -> None:
    assert left(FakeBench({"two"}, late={"three"})) == ("two", "three")


def test_what_it_needs_without_a_word_is_found_by_runs() -> None:
    assert left(FakeBench({"two"}, silent={"four"})) == ("two", "four")


def test_what_is_hidden_is_kept_only_where_a_run_needs_it() -> None:
    assert left(FakeBench({"two"}, silent={"four"}, hidden={"four", "one"})) == ("two", "four")


def test_what_did_not_suffice_is_not_asked_about_again(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, lacking = FakeBench({"two"}, late={"three"}), []
    ask = bench.ask

    def noting(te: str, accesses: Iterable[Access]) -> Replay:
        replay = ask(te, accesses)
        lacking.extend([te] if replay.denied else [])
        return replay

    monkeypatch.setattr(bench, "ask", noting)
    assert left(bench) == ("two", "three") and len(lacking) == len(set(lacking))


def test_where_all_is_needed_the_text_is_as_it_was() -> None:
    search = Search(FakeBench(NAMES), TE)  # type: ignore[arg-type]
    search.go()
    assert search.proven == TE


def test_each_part_that_is_left_says_what_it_is_needed_for() -> None:
    search = Search(FakeBench({"two"}, silent={"four"}), TE)  # type: ignore[arg-type]
    search.go()
    reasons = {part.text.split()[2]: reason for part, reason in search.reasons.items()}
    assert (reasons["two_t:file"], reasons["four_t:file"].split(":")[0]) == (
        "a_t two_t:file read",
        "without it",
    )


def test_what_was_proven_is_kept_where_the_runs_are_spent() -> None:
    search = Search(FakeBench({"two"}, silent={"four"}, budget=2), TE)  # type: ignore[arg-type]
    with pytest.raises(OutOfRuns):
        search.go()
    assert search.proven == TE


def test_a_rule_is_left_with_the_permissions_that_are_asked_for() -> None:
    te = TE.replace("one_t:file read", "one_t:file { read write }")
    search = Search(FakeBench({"one"}), te)  # type: ignore[arg-type]
    search.go()
    assert search.proven == "allow a_t one_t:file read;\n"


def test_narrowed_permissions_that_a_run_needs_are_kept() -> None:
    """libsepol knows of no use of `write`, and the workload fails without it."""
    te = TE.replace("one_t:file read", "one_t:file { read write }")

    class NeedsWrite(FakeBench):
        def passes(self, te: str) -> bool:
            return super().passes(te) and "write" in te

    search = Search(NeedsWrite({"one"}), te)  # type: ignore[arg-type]
    search.go()
    assert search.proven == "allow a_t one_t:file { read write };\n"


@pytest.fixture
def drafted(project: Project) -> Project:
    (project.policies / "web.te").write_text(f"policy_module(web, 1.0)\n{TE}")
    (project.scenarios / "web.yaml").write_text("image: registry.test/x:1\npolicy: web\n")
    return project


@pytest.mark.parametrize(("verdict", "passes"), [("PASS", True), ("FAIL", False)])
def test_a_text_passes_only_by_a_pass(
    drafted: Project, monkeypatch: pytest.MonkeyPatch, verdict: str, passes: bool
) -> None:
    monkeypatch.setattr(minimise, "run_and_keep", lambda *words: document(verdict=verdict))
    bench = minimise.Bench(drafted, None, "web", "web", Progress(), 5)  # type: ignore[arg-type]
    assert bench.passes(TE) is passes


def test_an_error_does_not_say_whether_a_text_passes(
    drafted: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(minimise, "run_and_keep", lambda *words: document(verdict="ERROR"))
    bench = minimise.Bench(drafted, None, "web", "web", Progress(), 5)  # type: ignore[arg-type]
    with pytest.raises(RunInconclusive):
        bench.passes(TE)


@pytest.mark.parametrize(("verdict", "exit_code"), [("FAIL", 2), ("ERROR", 3)])
def test_a_policy_that_does_not_pass_is_not_made_smaller(
    drafted: Project, monkeypatch: pytest.MonkeyPatch, verdict: str, exit_code: int
) -> None:
    monkeypatch.setattr(minimise, "run_and_keep", lambda *words: document(verdict=verdict))
    with pytest.raises(SelabError, match=verdict) as caught:
        minimise.minimise(drafted, None, "web", None, Progress())  # type: ignore[arg-type]
    assert caught.value.exit_code == exit_code


def test_an_error_ends_the_search_and_no_part_is_said_to_be_needed(
    drafted: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdicts = iter(["PASS", "ERROR"])
    monkeypatch.setattr(
        minimise, "run_and_keep", lambda *words: document(verdict=next(verdicts), reasons=["odd"])
    )
    result = minimise.minimise(drafted, None, "web", None, Progress())  # type: ignore[arg-type]
    assert (result.complete, result.error, result.after) == (False, "odd", result.before)
    assert {reason for _, reason in result.needed} == {minimise.UNKNOWN}


def test_the_budget_of_runs_is_kept(drafted: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minimise, "run_and_keep", lambda *words: document(verdict="PASS"))
    bench = minimise.Bench(drafted, None, "web", "web", Progress(), 1)  # type: ignore[arg-type]
    bench.run(TE)
    with pytest.raises(OutOfRuns):
        bench.run(TE)


def test_what_the_scenario_tolerates_to_be_denied_is_not_needed() -> None:
    assert left(FakeBench({"two", "three"}, tolerated={"three"})) == ("two",)


def test_what_the_workload_needs_is_left_even_if_its_denial_is_tolerated() -> None:
    assert left(FakeBench({"two", "three"}, tolerated={"three"}, silent={"three"})) == ("two", "three")


def test_a_rule_is_left_with_the_commands_that_are_asked_for() -> None:
    te = "allowxperm a_t one_t:file ioctl { 0x1 0x2 };\n"
    search = Search(FakeBench(()), te)  # type: ignore[arg-type]
    search.requested = dict.fromkeys([Access("u:r:a_t:s0", "u:r:one_t:s0", "file", "ioctl", 2)])
    search.go()
    assert search.proven == "allowxperm a_t one_t:file ioctl 0x2;\n"


def test_each_command_of_a_denied_ioctl_is_asked_about() -> None:
    row = document(denials=[entry("one") | IOCTL]).denials[0]
    assert [access.command for access in minimise._accesses(row)] == [1, 2]
