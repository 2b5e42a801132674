"""The history: stored once, found again, compared."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import json
import multiprocessing
import sqlite3
import tracemalloc
import zlib
from multiprocessing.synchronize import Barrier
from pathlib import Path
from types import SimpleNamespace

import pytest

from selab.auditlog.attribution import Party, Scope, attribute
from selab.auditlog.windows import Window
from selab.container.label import ContainerLabel
from selab.container.steps import StepResult
from selab.errors import InputError, SelabError
from selab.history import ROOM, History, Record, StoredRun, change_in_words, compare, resume
from selab.policy.candidate import LoadedPolicy
from selab.policy.module import PolicyModule
from selab.project import Project
from selab.run.document import RunDocument
from selab.run.experiment import Run
from selab.run.outcome import ContainerOutcome, Outcome
from selab.run.replay import Recorded
from selab.run.request import Plan, Request, RunOptions
from selab.run.verdict import Verdict, classify
from selab.scenario.expect import Expect
from selab.scenario.model import Scenario
from tests.unit.documents import CLASSIFIED, DENIAL, TOLERATED, document
from tests.unit.workloads import planned, workload

LINE = (
    b'type=AVC msg=audit(1.1:5): avc:  denied  { read } for  pid=1 comm="x" '
    b"scontext=u:r:web_t:s0:c1,c2 tcontext=u:r:etc_t:s0 tclass=file"
)


def finished(number: int, scenario: str = "web") -> Run:
    label = ContainerLabel("web_t", "s0:c1,c2")
    written = Scenario(image="x")
    written._name = scenario
    module = PolicyModule("web", Path(), {"te": b"policy_module(web, 1.0)\n"})
    plan = Plan(Request(scenario), written, planned(written, module))
    container = ContainerOutcome(label, labels=frozenset({label.context}))
    outcome = Outcome([container], [StepResult("page", True, 1.0)])
    window = Window((LINE,), (), True)
    attribution = attribute(window.lines, Scope((Party("web_t", "s0:c1,c2"),), frozenset()))
    started = datetime.datetime(2026, 11, 23, 22, 0, number % 60, tzinfo=datetime.UTC)
    loaded = LoadedPolicy("d", True, "", frozenset())
    return Run(
        f"run-{number:04}",
        plan,
        workload(written, label).containers,
        loaded,
        "b",
        outcome,
        window,
        attribution,
        classify(plan.scenario.expect, attribution.decisions),
        Verdict.FAIL,
        ("why",),
        started,
        {"audit": 0.1},
        2.5,
    )


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path / "history.sqlite")


def test_a_run_is_found_again_with_its_policy_and_records(history: History) -> None:
    document = history.add(finished(1))
    stored = history.find("run-0001")
    assert (stored.document, stored.sources, stored.records) == (
        document,
        {"te": "policy_module(web, 1.0)\n"},
        (LINE,),
    )


def test_the_last_run_is_the_newest(history: History) -> None:
    for number in (1, 2, 3):
        history.add(finished(number))
    assert [history.find(name).document.run for name in ("last", "last~1", "last~2")] == [
        "run-0003",
        "run-0002",
        "run-0001",
    ]


def test_the_run_before_is_of_the_same_scenario(history: History) -> None:
    for number, scenario in ((1, "web"), (2, "other"), (3, "web")):
        history.add(finished(number, scenario))
    before = history.before(history.find("last"))
    assert before is not None
    assert before.document.run == "run-0001"


@pytest.mark.parametrize(
    ("count", "name"),
    [
        (0, "last"),
        (0, "run-9"),
        *((1, name) for name in ("last~1", "last~", "last~1000000", "run-9", "%", "Run-0001", "un-")),
    ],
)
def test_a_run_that_is_not_there_is_wrong_input(history: History, count: int, name: str) -> None:
    for number in range(count):
        history.add(finished(number + 1))
    with pytest.raises(InputError) as caught:
        history.find(name)
    assert (caught.value.what, caught.value.hint) == (
        f"There is no run '{name}'.",
        "`selab history` lists the runs. `selab run SCENARIO` makes the first.",
    )


def test_the_beginning_of_two_ids_is_not_enough(history: History) -> None:
    history.add(finished(1))
    assert history.find("run-").document.run == "run-0001"
    history.add(dataclasses.replace(finished(2), id="run-0001-more"))
    assert history.find("run-0001").document.run == "run-0001"
    with pytest.raises(InputError) as caught:
        history.find("run-")
    assert (caught.value.what, caught.value.hint) == (
        "More than one run begins with 'run-'.",
        "See `selab history`.",
    )


def test_the_latest_runs_come_newest_first_and_may_be_of_one_scenario(history: History) -> None:
    assert (history.latest(2), history.documents()) == ([], [])
    for number, scenario in ((1, "web"), (2, "other"), (3, "web"), (4, "web")):
        history.add(finished(number, scenario))
    assert [run.document.run for run in history.latest(2)] == ["run-0004", "run-0003"]
    assert [run.document.run for run in history.latest(9, "other")] == ["run-0002"]
    assert [run.run for run in history.documents()] == ["run-0004", "run-0003", "run-0002", "run-0001"]


def test_a_run_has_changed_only_if_its_scenario_ran_before(history: History) -> None:
    first, _, last = (
        history.add(finished(number, name)) for number, name in enumerate(("web", "x", "web"), 1)
    )
    assert history.change(first) == ""
    assert history.change(last) == "1 denial, the same as in the previous run"


def test_a_file_that_is_no_database_is_explained(history: History) -> None:
    history.path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(SelabError, match=r"history cannot be used(.|\n)*Move the file away"):
        history.find("last")


def test_a_history_on_a_full_disk_is_not_to_be_moved_away(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.add(finished(1))
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorname = "SQLITE_IOERR_SHMSIZE"
    monkeypatch.setattr(History, "_migrate", lambda *_: (_ for _ in ()).throw(error))
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=4096))
    with pytest.raises(SelabError, match=r"No space left(.|\n)*Make room"):
        history.find("last")


def test_a_run_that_is_stored_twice_is_no_fault_of_the_file(history: History) -> None:
    history.add(finished(1))
    with pytest.raises(sqlite3.IntegrityError):
        history.add(finished(1))


def test_a_history_of_a_newer_selab_is_left_alone(history: History) -> None:
    with sqlite3.connect(history.path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(SelabError) as caught:
        history.add(finished(1))
    assert (caught.value.what, caught.value.detail, caught.value.hint) == (
        "The history was written by a newer selab.",
        f"{history.path} has version 99; this selab knows version 1.",
        "Update selab.",
    )


def _add_many(path: Path, first: int, ready: Barrier) -> None:
    ready.wait(60)
    for number in range(first, first + 20):
        History(path).add(finished(number))


@pytest.mark.program
def test_two_processes_write_at_once(history: History) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(2)
    other = context.Process(target=_add_many, args=(history.path, 100, ready), daemon=True)
    other.start()
    _add_many(history.path, 0, ready)
    other.join(60)
    assert len(history.latest(1000)) == 40


def test_a_history_that_another_process_creates_is_waited_for(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite gives up at once if two processes want to change the mode of the journal."""
    monkeypatch.setattr("selab.history.BUSY_TIMEOUT", 0.01)
    with contextlib.closing(sqlite3.connect(history.path)) as other:
        other.execute("CREATE TABLE other (number)")
        other.execute("BEGIN")
        other.execute("SELECT * FROM other").fetchall()
        clock = SimpleNamespace(monotonic=lambda: 0.0, sleep=lambda seconds: other.commit())
        monkeypatch.setattr("selab.history.time", clock)
        history.add(finished(1))
    assert history.find("last").document.run == "run-0001"


def test_a_write_that_was_cut_off_leaves_what_was_there(history: History) -> None:
    history.add(finished(1))
    database = sqlite3.connect(history.path)
    database.execute("BEGIN")
    database.execute("DELETE FROM run")
    database.close()
    assert history.find("last").document.run == "run-0001"


def test_denials_are_compared_by_permission() -> None:
    before = document(denials=[DENIAL | {"permissions": ["name_bind", "bind"]}])
    difference = compare(before, document(denials=[DENIAL | {"permissions": ["name_bind", "listen"]}]))
    assert [
        [key.permission for key in keys] for keys in (difference.gone, difference.new, difference.remaining)
    ] == [
        ["bind"],
        ["listen"],
        ["name_bind"],
    ]


def test_the_same_denials_are_said_to_be_the_same() -> None:
    assert change_in_words(document(), document()) == "1 denial, the same as in the previous run"


def test_what_changed_is_counted() -> None:
    assert (
        change_in_words(document(), document(denials=[]))
        == "0 denials: 1 gone, 0 new, 0 remaining since the previous run"
    )


def test_a_run_resumes_from_what_the_last_run_of_its_scenario_recorded(project: Project) -> None:
    for number, scenario in ((1, "web"), (2, "other")):
        History.of(project).add(finished(number, scenario))
    assert resume(project, "web").earlier_records == Recorded((LINE,), "web_t", level="s0:c1,c2")


def test_the_records_of_a_run_say_which_denials_are_the_machines(project: Project) -> None:
    machine = LINE.replace(b"web_t", b"cron_t").replace(b":c1,c2", b"")
    attribution = attribute((LINE, machine), Scope((Party("web_t", "s0:c1,c2"),), frozenset()))
    run = dataclasses.replace(finished(1), attribution=attribution, window=Window((LINE, machine), (), True))
    History.of(project).add(run)
    recorded = History.of(project).find("last").recorded
    assert {key.source for key in recorded.others} == {"cron_t"}
    assert [access.source for access in recorded.accesses_of("web_t")] == ["u:r:web_t:s0:c1,c2"]


def test_the_first_run_of_a_scenario_has_no_earlier_records(project: Project) -> None:
    History.of(project).add(finished(1, "other"))
    assert resume(project, "web").earlier_records is None


def test_a_run_expects_the_base_policy_of_the_projects_last_run(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("selab.history.known_base", lambda fingerprint, *_: f"the base policy {fingerprint}")
    History.of(project).add(finished(1, "other"))
    assert resume(project, "web").expected_base == "the base policy b"


MAKE_ROOM = "Make room there. The stored runs are still in the file."
MOVE_AWAY = "Move the file away to begin a new history. Nothing else depends on it."


def test_resuming_keeps_the_hooks(project: Project) -> None:
    hooks = RunOptions(before_steps=print, after_steps=print)
    assert resume(project, "web", hooks) == hooks


@pytest.mark.parametrize(
    ("name", "free", "hint"),
    [
        ("SQLITE_FULL", 0, MAKE_ROOM),
        ("SQLITE_IOERR_WRITE", ROOM - 1, MAKE_ROOM),
        ("SQLITE_IOERR_WRITE", ROOM, ""),
        ("SQLITE_BUSY", 0, ""),
        ("SQLITE_CORRUPT_INDEX", 0, MOVE_AWAY),
        ("SQLITE_NOTADB", ROOM, MOVE_AWAY),
        (None, ROOM, MOVE_AWAY),
    ],
)
def test_only_a_damaged_history_is_to_be_moved_away(
    history: History, monkeypatch: pytest.MonkeyPatch, name: str | None, free: int, hint: str
) -> None:
    def usage(path: Path) -> SimpleNamespace:
        assert path == history.path.parent
        return SimpleNamespace(free=free)

    monkeypatch.setattr("shutil.disk_usage", usage)
    error = sqlite3.DatabaseError("it failed")
    if name:
        error.sqlite_errorname = name
    why = "No space left on its file system (it failed)." if hint == MAKE_ROOM else "it failed"
    assert history._why(error) == (f"{history.path}: {why}", hint)


@pytest.mark.parametrize(
    ("packed", "detail"),
    [
        (zlib.compress(bytes((1 << 20) + 1)), "They are incomplete, or have more than 1 MiB."),
        (zlib.compress(b"a")[:-1], "They are incomplete, or have more than 1 MiB."),
        (b"not packed", "Error -3 while decompressing data: incorrect header check"),
        (zlib.compress(b"\n" * 10), "They have more than 9 lines."),
    ],
    ids=["large", "cut", "odd", "lines"],
)
def test_records_that_are_damaged_or_too_large_are_refused(
    packed: bytes, detail: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("selab.history.MAX_RECORDS", 1 << 20)
    monkeypatch.setattr("selab.history.MAX_LINES", 9)
    with pytest.raises(SelabError) as caught:
        _ = StoredRun(1, document(), {}, packed).records
    assert (caught.value.what, caught.value.detail, caught.value.hint) == (
        "The records of the run 20261123-220000-abcd cannot be read.",
        detail,
        "Run the scenario again.",
    )


def test_records_may_have_as_many_lines_as_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("selab.history.MAX_LINES", 3)
    assert len(StoredRun(1, document(), {}, zlib.compress(b"\n" * 3)).records) == 3


@pytest.mark.growth
def test_unpacking_a_row_takes_no_more_memory_than_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row of 1.5 MB once became 4 GB."""
    monkeypatch.setattr("selab.history.MAX_RECORDS", 100_000)
    stored = StoredRun(1, document(), {}, zlib.compress(bytes(200_000_000), 9))
    tracemalloc.start()
    try:
        with pytest.raises(SelabError):
            _ = stored.records
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20_000_000  # of 200 MB; threads of other tests allocate a few as well


def test_the_change_counts_denials_by_classification() -> None:
    assert change_in_words(document(**CLASSIFIED), document(**CLASSIFIED)) == (
        "3 denials (1 unexpected, 1 tolerated, 1 expected), the same as in the previous run"
    )


def test_a_denial_that_is_classified_differently_is_a_change() -> None:
    before = document(denials=[{**TOLERATED, "classification": "unexpected", "entry": ""}])
    after = document(denials=[TOLERATED])
    assert change_in_words(before, after).endswith("in the previous run, 1 classified differently")


def test_a_run_from_before_classification_is_classified_by_its_stored_scenario(history: History) -> None:
    run = finished(1)
    entry = {"target": "etc_t", "reason": "harmless"}
    scenario = run.plan.scenario.model_copy(update={"expect": Expect.model_validate({"denials": [entry]})})
    record = Record.of(dataclasses.replace(run, plan=dataclasses.replace(run.plan, scenario=scenario)))
    history.keep(record)
    data = json.loads(record.document.as_json())
    del data["missing"]
    for row in data["denials"]:
        del row["classification"], row["entry"], row["reason"]
    with sqlite3.connect(history.path) as database:
        database.execute("UPDATE run SET document = ?", [json.dumps(data)])
    (row,) = history.find("last").document.denials
    assert row.ruling.in_words == "tolerated by * -> etc_t:* { * }: harmless"


def test_what_the_scenario_says_goes_with_the_records() -> None:
    rulings = StoredRun(1, document(**CLASSIFIED), {}, zlib.compress(b"")).recorded.rulings
    assert sorted(ruling.classification.value for ruling in rulings.values()) == ["expected", "tolerated"]


def ioctl_run(*commands: str, by_command: bool = True) -> RunDocument:
    row = {**DENIAL, "permissions": ["ioctl"], "commands": [*commands], "by_command": by_command}
    return document(denials=[row])


def test_another_command_of_an_ioctl_is_a_new_denial() -> None:
    difference = compare(ioctl_run("0x1", "0x2"), ioctl_run("0x2", "0x3"))
    assert [[key.command for key in keys] for keys in (difference.gone, difference.new)] == [["0x1"], ["0x3"]]


@pytest.mark.parametrize("newest_distinguishes", [True, False])
def test_a_policy_that_begins_to_distinguish_commands_has_no_new_denial(newest_distinguishes: bool) -> None:
    difference = compare(
        ioctl_run("0x1", by_command=not newest_distinguishes),
        ioctl_run("0x1", by_command=newest_distinguishes),
    )
    assert (difference.gone, difference.new, difference.reclassified) == ((), (), ())
    assert [key.command for key in difference.remaining] == [""]
