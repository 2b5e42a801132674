"""The search for the smallest policy, without a VM: each line of a policy grants the access of its name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from selab.errors import InputError, SelabError
from selab.policy.guest.load import Mode
from selab.policy.query.decide import Access, Cause, Decision
from selab.progress import Progress
from selab.project import Project, ProjectConfig, VmConfig
from selab.run.document import RunDocument
from selab.run.replay import Replay
from selab.run.request import Request
from selab.run.verdict import Verdict
from selab.workflows import minimise
from selab.workflows.drafts import drafts
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
        fields = {"denials": denials, "hidden": [*map(entry, hidden)]}
        reasons = [" ".join(["lacks", *sorted(failed)]), "another reason"]
        self.runs.append(document(verdict=verdict, mode=mode, reasons=reasons, **fields))
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


def test_a_policy_in_cil_is_made_smaller_too() -> None:
    cil = "".join(f"(allow a_t {name}_t (file (read write)))\n" for name in NAMES)
    search = Search(FakeBench({"two"}), cil, language="cil")  # type: ignore[arg-type]
    search.go()
    assert search.proven == "(allow a_t two_t (file (read)))\n"


INHERITING = """\
(block web
    (blockinherit one_t)
    (blockinherit two_t)
    (allow process three_t (file (read)))
)
"""


@pytest.mark.parametrize(("tried", "lines"), [({"three"}, [1, 3]), ({"one", "two"}, [1, 2]), (set(), [1])])
def test_an_inherited_block_that_grants_nothing_needed_is_removed(tried: set[str], lines: list[int]) -> None:
    search = Search(FakeBench(tried), INHERITING, language="cil")  # type: ignore[arg-type]
    search.go()
    every = INHERITING.splitlines(keepends=True)
    assert search.proven == "".join([every[0], *(every[line] for line in lines), every[-1]])


def test_if_the_domain_needs_an_inherited_block_all_of_them_stay() -> None:
    class NeedsTwo(FakeBench):
        """The domain is declared by the second inherited block."""

        def run(self, te: str, mode: Mode = Mode.ENFORCING) -> RunDocument:
            if "two_t" not in te:
                raise InputError("The type 'web.process' is not declared, so no process can run under it.")
            return super().run(te, mode)

    search = Search(NeedsTwo(set()), INHERITING, language="cil")  # type: ignore[arg-type]
    search.go()
    assert search.proven == INHERITING.replace("    (allow process three_t (file (read)))\n", "")


def test_a_policy_without_inherited_blocks_that_is_refused_is_an_error() -> None:
    class Refusing(FakeBench):
        def run(self, te: str, mode: Mode = Mode.ENFORCING) -> RunDocument:
            raise InputError("It is refused.")

    with pytest.raises(InputError, match="refused"):
        Search(Refusing(set()), TE).go()  # type: ignore[arg-type]


def test_what_the_workload_tries_is_left() -> None:
    assert left(FakeBench({"two"})) == ("two",)


def test_that_takes_two_runs() -> None:
    bench = FakeBench({"two"})
    left(bench)
    assert [run.mode for run in bench.runs] == [Mode.PERMISSIVE, Mode.ENFORCING]


def test_what_it_tries_only_in_enforcing_mode_comes_back_with_a_run() -> None:
    bench = FakeBench({"two"}, late={"three"})
    assert (left(bench), len(bench.runs)) == (("two", "three"), 3)


def test_each_run_that_fails_shows_what_comes_back() -> None:
    class EndsAtOnce(FakeBench):
        """A workload that ends at the first access that is denied in enforcing mode."""

        def run(self, te: str, mode: Mode = Mode.ENFORCING) -> RunDocument:
            run = super().run(te, mode)
            if mode is Mode.ENFORCING:
                first = sorted(run.denials, key=lambda row: row.target)[:1]
                self.runs[-1] = run = run.model_copy(update={"denials": tuple(first)})
            return run

    bench = EndsAtOnce({"two"}, late={"three", "four"})
    assert (left(bench), len(bench.runs)) == (("two", "three", "four"), 4)


def test_what_it_needs_without_a_word_is_found_by_runs() -> None:
    assert left(FakeBench({"two"}, silent={"four"})) == ("two", "four")


def test_what_is_hidden_is_kept_only_where_a_run_needs_it() -> None:
    assert left(FakeBench({"two"}, silent={"four"}, hidden={"four", "one"})) == ("two", "four")


def test_only_parts_that_grant_hidden_accesses_are_removed_again_by_runs() -> None:
    bench = FakeBench({"two"}, silent={"four"}, hidden={"four", "one"})
    left(bench)
    assert [run.reasons[0] for run in bench.runs if run.mode is Mode.ENFORCING and run.denials] == []


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
    search = Search(FakeBench({"two"}, silent={"one", "four"}), TE)  # type: ignore[arg-type]
    search.go()
    assert {part.text.split()[2]: reason for part, reason in search.reasons.items()} == {
        "one_t:file": "without it: lacks one",
        "two_t:file": "a_t two_t:file read",
        "four_t:file": "without it: lacks four",
    }


@pytest.mark.parametrize(("count", "more"), [(3, []), (4, ["and 1 more"]), (5, ["and 2 more"])])
def test_a_part_names_the_first_accesses_that_it_is_needed_for(count: int, more: list[str]) -> None:
    targets = [f"t{number}_t" for number in range(count)]
    search = Search(FakeBench(()), f"allow a_t {{ {' '.join(targets)} }}:file read;\n")  # type: ignore[arg-type]
    search.requested = dict.fromkeys(
        Access("u:r:a_t:s0", f"u:r:{each}:s0", "file", "read") for each in targets
    )
    assert search._denied(()).split(", ") == [*(f"a_t {target}:file read" for target in targets[:3]), *more]


def test_a_part_may_be_needed_to_compile(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = FakeBench(())
    ask = bench.ask

    def compiling(te: str, accesses: Iterable[Access]) -> Replay:
        if "one_t" not in te:
            raise InputError("It does not compile.")
        return ask(te, accesses)

    monkeypatch.setattr(bench, "ask", compiling)
    search = Search(bench, TE)  # type: ignore[arg-type]
    search.go()
    ((part, reason),) = search.reasons.items()
    assert "one_t" in part.text and "does not compile" in reason


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


def test_a_rule_is_narrowed_after_a_search_by_runs_too() -> None:
    te = TE.replace("one_t:file read", "one_t:file { read write }")
    search = Search(FakeBench({"one"}, silent={"four"}), te)  # type: ignore[arg-type]
    search.go()
    assert search.proven == "allow a_t one_t:file read;\nallow a_t four_t:file read;\n"


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


MACHINE: Any = object()
Runs = Callable[..., list[tuple[Mode, str]]]


@pytest.fixture
def runs(drafted: Project, monkeypatch: pytest.MonkeyPatch) -> Runs:
    """Make runs end with these verdicts; the last one repeats: runs("PASS", "ERROR").

    Returns the mode and the policy of each run.
    """

    def runs(*verdicts: str) -> list[tuple[Mode, str]]:
        made: list[tuple[Mode, str]] = []

        def run(project: Project, machine: object, request: Request, progress: Progress) -> RunDocument:
            assert (machine, request.scenario, request.policy) == (MACHINE, "web", "web")
            assert isinstance(progress, Progress)
            made.append((request.mode, (project.policies / "web.te").read_text()))
            verdict = verdicts[min(len(made), len(verdicts)) - 1]
            return document(verdict=verdict, reasons=[f"reason {len(made)}", "another"], denials=[])

        monkeypatch.setattr(minimise, "run_and_keep", run)
        return made

    return runs


def bench_of(project: Project, budget: int = 5) -> minimise.Bench:
    return minimise.Bench(drafts(project, "web"), MACHINE, Request("web", "web"), "web", Progress(), budget)


@pytest.mark.parametrize(("verdict", "passes"), [("PASS", True), ("FAIL", False)])
def test_a_text_passes_only_by_a_pass_in_enforcing_mode(
    drafted: Project, runs: Runs, verdict: str, passes: bool
) -> None:
    made = runs(verdict)
    assert bench_of(drafted).passes(TE) is passes
    assert made == [(Mode.ENFORCING, TE)]


def test_an_error_does_not_say_whether_a_text_passes(drafted: Project, runs: Runs) -> None:
    runs("ERROR")
    with pytest.raises(RunInconclusive):
        bench_of(drafted).passes(TE)


@pytest.mark.parametrize(("verdict", "exit_code"), [("FAIL", 2), ("ERROR", 3)])
def test_a_policy_that_does_not_pass_is_not_made_smaller(
    drafted: Project, runs: Runs, verdict: str, exit_code: int
) -> None:
    runs(verdict)
    with pytest.raises(SelabError) as caught:
        minimise.minimise(drafted, MACHINE, "web", None, Progress())
    assert caught.value.exit_code == exit_code
    assert caught.value.what and caught.value.detail == f"{verdict}: reason 1"
    assert {"FAIL": "`selab learn web`", "ERROR": "`selab doctor`"}[verdict] in caught.value.hint


@pytest.mark.parametrize(("policy", "word"), [("app", "'app'"), ("none", "make smaller")])
def test_only_a_candidate_that_exists_is_made_smaller(drafted: Project, policy: str, word: str) -> None:
    with pytest.raises(InputError, match=word):
        minimise.minimise(drafted, MACHINE, "web", policy, Progress())


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let libsepol answer that a policy allows what it names."""

    def candidate_of(
        project: Project, policies: Sequence[str], progress: Progress, doing: str
    ) -> SimpleNamespace:
        return SimpleNamespace(linked=project.policies / f"{policies[0]}.te")

    def replay(linked: Path, requested: list[Access]) -> Replay:
        return FakeBench(()).ask(linked.read_text(), requested)

    monkeypatch.setattr(minimise, "candidate_of", candidate_of)
    monkeypatch.setattr(minimise, "replay", replay)


@pytest.mark.usefixtures("answers")
def test_an_error_ends_the_search_and_no_part_is_said_to_be_needed(drafted: Project, runs: Runs) -> None:
    runs("PASS", "ERROR")
    (result,) = minimise.minimise(drafted, MACHINE, "web", None, Progress())
    assert (result.complete, result.error, result.after) == (False, "reason 2", result.before)
    assert {reason for _, reason in result.needed} == {minimise.UNKNOWN}


@pytest.mark.usefixtures("answers")
def test_a_search_whose_runs_are_spent_is_not_complete(drafted: Project, runs: Runs) -> None:
    runs("PASS")
    (result,) = minimise.minimise(drafted, MACHINE, "web", None, Progress(), runs=2)
    assert (result.complete, result.error, len(result.runs)) == (False, "", 2)
    assert {reason for _, reason in result.needed} == {minimise.UNTRIED}


@pytest.mark.usefixtures("answers")
def test_the_result_of_a_search_names_what_was_removed_and_what_is_needed(
    drafted: Project, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The workload needs nothing but two_t, which a run in permissive mode shows."""
    made = runs("PASS")
    run_and_keep = minimise.run_and_keep

    def run(project: Project, machine: Any, request: Request, progress: Progress) -> RunDocument:
        run_and_keep(project, machine, request, progress)
        shown = [entry("two")] if request.mode is Mode.PERMISSIVE else []
        return document(verdict="PASS", denials=shown)

    monkeypatch.setattr(minimise, "run_and_keep", run)
    (result,) = minimise.minimise(drafted, MACHINE, "web", None, Progress())
    assert (result.policy, result.complete, result.error) == ("web", True, "")
    assert [part.split()[2] for part in result.removed] == ["one_t:file", "three_t:file", "four_t:file"]
    assert result.needed == (("allow a_t two_t:file read;", "a_t two_t:file read"),)
    assert result.after == result.before.replace(TE, "allow a_t two_t:file read;\n")
    assert [mode for mode, _ in made] == [Mode.ENFORCING, Mode.PERMISSIVE, Mode.ENFORCING]
    assert made[-1][1] == result.after and result.questions > 0


def test_the_users_file_is_not_written(drafted: Project, runs: Runs) -> None:
    runs("FAIL")
    bench_of(drafted).passes("# nothing\n")
    assert TE in (drafted.policies / "web.te").read_text()


def test_the_budget_of_runs_is_kept(drafted: Project, runs: Runs) -> None:
    runs("PASS")
    bench = bench_of(drafted, budget=1)
    bench.run(TE)
    with pytest.raises(OutOfRuns):
        bench.run(TE)


def test_what_the_scenario_tolerates_to_be_denied_is_not_needed() -> None:
    assert left(FakeBench({"two", "three"}, tolerated={"three"})) == ("two",)


def test_what_the_workload_needs_is_left_even_if_its_denial_is_tolerated() -> None:
    assert left(FakeBench({"two", "three"}, tolerated={"three"}, silent={"three"})) == ("two", "three")


def test_a_rule_is_left_with_the_commands_that_are_asked_for() -> None:
    te = "allowxperm a_t one_t:file ioctl { 0x0 0x1 0x2 0x5 };\n"
    search = Search(FakeBench(()), te)  # type: ignore[arg-type]
    search.requested = dict.fromkeys(
        Access("u:r:a_t:s0", "u:r:one_t:s0", "file", "ioctl", command) for command in (2, 5)
    )
    search.go()
    assert search.proven == "allowxperm a_t one_t:file ioctl { 0x2 0x5 };\n"


def test_each_command_of_a_denied_ioctl_is_asked_about() -> None:
    row = document(denials=[entry("one") | IOCTL]).denials[0]
    assert [access.command for access in minimise._accesses(row)] == [1, 2]


class Began(Exception):
    """The first run begins; its argument is what `vm.base` is then."""


def test_the_guests_own_base_policy_answers_between_runs(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`vm.base` is for commands without a VM."""

    def run(project: Project, *words: object) -> RunDocument:
        raise Began(project.config.vm.base)

    (project.policies / "web.te").write_text("policy_module(web, 1.0)\n")
    (project.scenarios / "web.yaml").write_text("image: registry.test/x:1\npolicy: web\n")
    monkeypatch.setattr(minimise, "run_and_keep", run)
    chosen = replace(project, config=ProjectConfig(vm=VmConfig(base="centos9")))
    with pytest.raises(Began, match="^$"):
        minimise.minimise(chosen, None, "web", None, Progress())  # type: ignore[arg-type]
