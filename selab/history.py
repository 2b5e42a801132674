"""Runs in SQLite: what each was made from, what changed between two, and what the next one resumes from."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import sqlite3
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from selab.auditlog.attribution import Party
from selab.auditlog.classification import Ruling
from selab.auditlog.denials import DenialKey, comparable, with_bare_keys
from selab.auditlog.windows import MAX_BYTES, MAX_LINES
from selab.errors import InputError, SelabError
from selab.host.cache import cache_dir
from selab.host.private import make_private, private_file
from selab.policy.base import BasePolicy, known_base
from selab.project import Project
from selab.run.conversion import document_of, stored_document
from selab.run.document import RunDocument
from selab.run.experiment import Run
from selab.run.replay import Recorded
from selab.run.request import DEFAULT_OPTIONS, RunOptions

ROOM = 1 << 20
"""Bytes that SQLite needs to read or write at all: its shared memory is a file as well."""
BUSY_TIMEOUT = 30.0
"""Seconds to wait for another process that writes. A write takes milliseconds."""
PAUSE = 0.02
"""Seconds between two attempts."""
MAX_RECORDS = MAX_BYTES + 1024 * 1024
"""Bytes of a run's unpacked records: those of the largest audit window, and line ends."""
VERSION = 1
_SCHEMA = """
CREATE TABLE run (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    started TEXT NOT NULL,
    scenario TEXT NOT NULL,
    policy TEXT NOT NULL,
    mode TEXT NOT NULL,
    verdict TEXT NOT NULL,
    document TEXT NOT NULL,
    sources TEXT NOT NULL,
    scenario_text TEXT NOT NULL,
    records BLOB NOT NULL
);
CREATE INDEX run_by_scenario ON run (scenario, number);
"""


@dataclass(frozen=True)
class StoredRun:
    """A run from the history.

    number: the run's place in the history, ascending.
    document: the run as plain data.
    sources: the candidate's files by ending; those of several candidates by name and ending (`web.te`).
    packed: the raw lines of the run's audit window, compressed.
    """

    number: int
    document: RunDocument
    sources: dict[str, str]
    packed: bytes

    def file_name(self, key: str) -> str:
        """Return the name of the file that `sources` has under `key`."""
        return f"{self.document.policy}.{key}" if len(self.document.policies) == 1 else key

    @property
    def records(self) -> tuple[bytes, ...]:
        """The raw lines of the run's audit window. Raises SelabError if they are damaged or too large."""
        what, hint = f"The records of the run {self.document.run} cannot be read.", "Run the scenario again."
        unpacking = zlib.decompressobj()
        try:
            data = unpacking.decompress(self.packed, MAX_RECORDS)
        except zlib.error as error:
            raise SelabError(what, str(error), hint) from error
        if not unpacking.eof:
            size = f"They are incomplete, or have more than {MAX_RECORDS >> 20} MiB."
            raise SelabError(what, size, hint)
        if data.count(b"\n") > MAX_LINES:
            raise SelabError(what, f"They have more than {MAX_LINES} lines.", hint)
        return tuple(data.splitlines())

    @property
    def recorded(self) -> Recorded:
        """The raw lines, the container's label, whose the denials are, and the scenario's rulings."""
        run = self.document
        rulings = {key: ruling for key, ruling in run.rulings.items() if not ruling.is_unexpected}
        others = frozenset(key for denial in (*run.runtime, *run.machine) for key in denial.keys)
        parties = tuple(Party(each.label.type, each.label.level, each.name) for each in run.containers)
        return Recorded(self.records, run.label.type, rulings, run.label.level, others, parties)


@dataclass(frozen=True)
class Record:
    """Everything that is stored of a run, as plain data that one process can hand to another.

    document: the run as plain data.
    sources: the candidate's files by ending; those of several candidates by name and ending (`web.te`).
    scenario: the scenario as the user wrote it.
    packed: the raw lines of the run's audit window, compressed.
    """

    document: RunDocument
    sources: dict[str, str]
    scenario: dict[str, Any]
    packed: bytes

    @classmethod
    def of(cls, run: Run) -> Record:
        """Make the record of a run that has just ended."""
        modules = run.plan.modules
        sources = {
            ending if len(modules) == 1 else f"{module.name}.{ending}": text.decode(
                "utf-8", "backslashreplace"
            )
            for module in modules
            for ending, text in module.texts.items()
        }
        packed = zlib.compress(b"\n".join(run.window.lines))
        return cls(document_of(run), sources, run.plan.scenario.as_written(), packed)


@dataclass(frozen=True)
class DenialDiff:
    """What became of the denials between two runs, sorted by identity.

    gone: denials of the first run only.
    new: denials of the second run only.
    remaining: denials of both runs.
    before, after: the rulings on the denials of each run.
    containers: the containers that a denial concerns; empty if they have no names.
    """

    gone: tuple[DenialKey, ...]
    new: tuple[DenialKey, ...]
    remaining: tuple[DenialKey, ...]
    before: Mapping[DenialKey, Ruling]
    after: Mapping[DenialKey, Ruling]
    containers: Mapping[DenialKey, tuple[str, ...]]

    @property
    def reclassified(self) -> tuple[DenialKey, ...]:
        """The remaining denials that the two runs classify differently."""
        return tuple(
            key
            for key in self.remaining
            if self.before[key].classification is not self.after[key].classification
        )


class History:
    """The runs of a project, in `.selab/history.sqlite`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def of(cls, project: Project) -> History:
        return cls(project.state / "history.sqlite")

    def add(self, run: Run) -> RunDocument:
        """Store a run that has just ended, in one transaction, and return its document."""
        record = Record.of(run)
        self.keep(record)
        return record.document

    def keep(self, record: Record) -> None:
        """Store a run of this process or of another one."""
        document = record.document
        row = (
            document.run,
            document.started.isoformat(),
            document.scenario,
            document.policy,
            document.mode.value,
            document.verdict.value,
            document.model_dump_json(by_alias=True),
            json.dumps(record.sources),
            json.dumps(record.scenario),
            record.packed,
        )
        columns = "id, started, scenario, policy, mode, verdict, document, sources, scenario_text, records"
        with self._open() as database, database:
            database.execute(f"INSERT INTO run ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)

    def find(self, name: str) -> StoredRun:
        """Return the run `name`: an id or its beginning, `last`, or `last~N` for the N-th before the last.

        Raises InputError if there is no such run, or if more than one id begins with `name`.
        """
        if last := re.fullmatch(r"last(?:~(\d{1,6}))?", name):
            rows = self._rows("ORDER BY number DESC LIMIT 1 OFFSET ?", [int(last.group(1) or 0)])
        else:
            rows = self._rows("WHERE substr(id, 1, length(?)) = ? ORDER BY number LIMIT 2", [name, name])
        if len(rows) > 1 and rows[0].document.run != name:
            raise InputError(f"More than one run begins with '{name}'.", hint="See `selab history`.")
        if not rows:
            hint = "`selab history` lists the runs. `selab run SCENARIO` makes the first."
            raise InputError(f"There is no run '{name}'.", hint=hint)
        return rows[0]

    def before(self, run: StoredRun) -> StoredRun | None:
        """Return the last run of the same scenario before `run`, if there is one."""
        rows = self._rows(
            "WHERE scenario = ? AND number < ? ORDER BY number DESC LIMIT 1",
            [run.document.scenario, run.number],
        )
        return rows[0] if rows else None

    def change(self, run: RunDocument) -> str:
        """Describe in one line what changed since the previous run, or return "" if there is none."""
        before = self.before(self.find(run.run))
        return change_in_words(before.document, run) if before else ""

    def latest(self, limit: int, scenario: str | None = None) -> list[StoredRun]:
        """Return the latest runs, the newest first."""
        where, values = ("WHERE scenario = ?", [scenario]) if scenario else ("", [])
        return self._rows(f"{where} ORDER BY number DESC LIMIT ?", [*values, limit])

    def documents(self) -> list[RunDocument]:
        """Return all runs as plain data, the newest first, without their records and sources."""
        if not self.path.exists():
            return []
        with self._open() as database:
            rows = database.execute("SELECT document, scenario_text FROM run ORDER BY number DESC").fetchall()
        return [stored_document(text, json.loads(scenario)) for text, scenario in rows]

    def _rows(self, rest: str, values: Sequence[object]) -> list[StoredRun]:
        if not self.path.exists():
            return []
        with self._open() as database:
            rows = database.execute(
                f"SELECT number, document, scenario_text, sources, records FROM run {rest}", values
            ).fetchall()
        return [
            StoredRun(number, stored_document(text, json.loads(scenario)), json.loads(sources), packed)
            for number, text, scenario, sources, packed in rows
        ]

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        # SQLite gives its other files the mode of the database, but only when it creates them.
        private_file(self.path)
        for ending in ("-wal", "-shm", "-journal"):
            make_private(self.path.with_name(self.path.name + ending))
        try:
            database = sqlite3.connect(self.path, timeout=BUSY_TIMEOUT)
            with contextlib.closing(database):
                self._migrate(database)
                yield database
        except sqlite3.IntegrityError:
            raise
        except sqlite3.DatabaseError as error:
            raise SelabError("The history cannot be used.", *self._why(error)) from error

    def _why(self, error: sqlite3.DatabaseError) -> tuple[str, str]:
        """Return what SQLite reported, and what to do about it. Only a damaged file is to be moved away."""
        name = getattr(error, "sqlite_errorname", "SQLITE_NOTADB")
        if (
            name.startswith(("SQLITE_FULL", "SQLITE_IOERR"))
            and shutil.disk_usage(self.path.parent).free < ROOM
        ):
            return (
                f"{self.path}: No space left on its file system ({error}).",
                "Make room there. The stored runs are still in the file.",
            )
        damaged = name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB"))
        return (
            f"{self.path}: {error}",
            "Move the file away to begin a new history. Nothing else depends on it." if damaged else "",
        )

    def _migrate(self, database: sqlite3.Connection) -> None:
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            detail = f"{self.path} has version {version}; this selab knows version {VERSION}."
            raise SelabError("The history was written by a newer selab.", detail, "Update selab.")
        if version == VERSION:
            return
        _use_write_ahead_log(database)
        with database:
            database.execute("BEGIN IMMEDIATE")
            if database.execute("PRAGMA user_version").fetchone()[0] < VERSION:
                for statement in _SCHEMA.strip().split(";\n"):
                    database.execute(statement)
                database.execute(f"PRAGMA user_version = {VERSION}")


def _use_write_ahead_log(database: sqlite3.Connection) -> None:
    """Let readers and a writer use the database at once.

    If several processes create the same history, SQLite gives up at once for some, without its timeout.
    """
    deadline = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(PAUSE)


def compare(before: RunDocument, after: RunDocument) -> DenialDiff:
    """Return which denials are gone, new and remaining in `after`."""
    old, new = comparable(before.keys, after.keys), comparable(after.keys, before.keys)
    return DenialDiff(
        tuple(sorted(old - new)),
        tuple(sorted(new - old)),
        tuple(sorted(old & new)),
        with_bare_keys(before.rulings),
        with_bare_keys(after.rulings),
        with_bare_keys({**before.concerned, **after.concerned}),
    )


def change_in_words(before: RunDocument, after: RunDocument) -> str:
    """Describe the change in one line for the summary: "30 denials, the same as in the previous run"."""
    diff = compare(before, after)
    total = after.denials_in_words
    reclassified = f", {len(diff.reclassified)} classified differently" if diff.reclassified else ""
    if not diff.gone and not diff.new:
        return f"{total}, the same as in the previous run{reclassified}"
    counts = f"{len(diff.gone)} gone, {len(diff.new)} new, {len(diff.remaining)} remaining{reclassified}"
    return f"{total}: {counts} since the previous run"


def resume(project: Project, scenario: str, options: RunOptions = DEFAULT_OPTIONS) -> RunOptions:
    """Return `options` with what the project's runs so far tell the next run of `scenario`.

    That is what the scenario's last run recorded, and the base policy that the project's last run had.
    """
    runs = History.of(project).latest(1, scenario)
    recorded = runs[0].recorded if runs else None
    return replace(options, earlier_records=recorded, expected_base=base_of_last_run(project))


def base_of_last_run(project: Project) -> BasePolicy | None:
    """Return the base policy that the project's last run had, if it is still in the cache."""
    fingerprint = fingerprint_of_last_run(project)
    return known_base(fingerprint, cache_dir(), project.store) if fingerprint else None


def fingerprint_of_last_run(project: Project) -> str:
    """Return the fingerprint of the base policy that the project's last run had, or an empty string."""
    runs = History.of(project).latest(1)
    return runs[0].document.base if runs else ""
