"""Runs in SQLite: each one stored once, with everything it was made from; what changed between two of them."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selab.auditlog.denials import DenialKey
from selab.errors import InputError, SelabError
from selab.project import Project
from selab.run.document import RunDocument, document_of
from selab.run.experiment import Run

ROOM = 1 << 20
"""Bytes without which SQLite can neither read nor write: its shared memory is a file as well."""
BUSY_TIMEOUT = 30.0
"""Seconds to wait for another process that writes: it holds the database for milliseconds."""
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
    """A run out of the history. `sources` are the candidate's files by ending; `packed` the raw lines of its window, compressed."""

    number: int
    document: RunDocument
    sources: dict[str, str]
    packed: bytes

    @property
    def records(self) -> tuple[bytes, ...]:
        """The raw lines of the run's window."""
        return tuple(zlib.decompress(self.packed).splitlines())


@dataclass(frozen=True)
class Record:
    """A run as plain data, with everything that is stored of it: what one process can hand to another.

    `sources` are the candidate's files by ending, `scenario` is as the user wrote it, `packed` as in `StoredRun`.
    """

    document: RunDocument
    sources: dict[str, str]
    scenario: dict[str, Any]
    packed: bytes

    @classmethod
    def of(cls, run: Run) -> Record:
        """The record of a run that has just ended."""
        module = run.plan.module
        sources = (
            {ending: text.decode("utf-8", "backslashreplace") for ending, text in module.texts.items()}
            if module
            else {}
        )
        packed = zlib.compress(b"\n".join(run.window.lines))
        return cls(document_of(run), sources, run.plan.scenario.as_written(), packed)


@dataclass(frozen=True)
class DenialDiff:
    """What became of the denials between two runs, sorted by identity."""

    gone: tuple[DenialKey, ...]
    new: tuple[DenialKey, ...]
    remaining: tuple[DenialKey, ...]


class History:
    """The runs of a project, in `.selab/history.sqlite`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def of(cls, project: Project) -> History:
        return cls(project.state / "history.sqlite")

    def add(self, run: Run) -> RunDocument:
        """Store a run that has just ended, in one transaction; return its document."""
        record = Record.of(run)
        self.keep(record)
        return record.document

    def keep(self, record: Record) -> None:
        """Store a run of this process or another one."""
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
        """The run with that id (or the beginning of it), `last`, or `last~N`: the N-th before the last."""
        if back := re.fullmatch(r"last(?:~(\d{1,6}))?", name):
            rows = self._rows("ORDER BY number DESC LIMIT 1 OFFSET ?", [int(back.group(1) or 0)])
        else:
            rows = self._rows("WHERE substr(id, 1, length(?)) = ? ORDER BY number LIMIT 2", [name, name])
        if len(rows) > 1 and rows[0].document.run != name:
            raise InputError(f"More than one run begins with '{name}'.", hint="See `selab history`.")
        if not rows:
            hint = "`selab history` lists the runs; `selab run SCENARIO` makes the first."
            raise InputError(f"There is no run '{name}'.", hint=hint)
        return rows[0]

    def before(self, run: StoredRun) -> StoredRun | None:
        """The run of the same scenario before `run`."""
        rows = self._rows(
            "WHERE scenario = ? AND number < ? ORDER BY number DESC LIMIT 1",
            [run.document.scenario, run.number],
        )
        return rows[0] if rows else None

    def change(self, run: RunDocument) -> str:
        """What `run`, which is stored, changed since the run of the same scenario before it, in one line; nothing for the first."""
        before = self.before(self.find(run.run))
        return change_in_words(before.document, run) if before else ""

    def latest(self, limit: int, scenario: str | None = None) -> list[StoredRun]:
        """The newest runs, the newest first."""
        where, values = ("WHERE scenario = ?", [scenario]) if scenario else ("", [])
        return self._rows(f"{where} ORDER BY number DESC LIMIT ?", [*values, limit])

    def _rows(self, rest: str, values: Sequence[object]) -> list[StoredRun]:
        if not self.path.exists():
            return []
        with self._open() as database:
            found = database.execute(
                f"SELECT number, document, sources, records FROM run {rest}", values
            ).fetchall()
        return [
            StoredRun(number, RunDocument.model_validate_json(text), json.loads(sources), packed)
            for number, text, sources, packed in found
        ]

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
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
        """What SQLite says, and what to do about it: only a file that is damaged is to be moved away."""
        name = getattr(error, "sqlite_errorname", "SQLITE_NOTADB")
        if (
            name.startswith(("SQLITE_FULL", "SQLITE_IOERR"))
            and shutil.disk_usage(self.path.parent).free < ROOM
        ):
            return (
                f"{self.path}: No space left on its file system ({error}).",
                "Make room there. The runs that were kept are still in it.",
            )
        damaged = name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB"))
        return (
            f"{self.path}: {error}",
            "Move the file away to begin a new history; nothing else depends on it." if damaged else "",
        )

    def _migrate(self, database: sqlite3.Connection) -> None:
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            detail = f"{self.path} has version {version}; this selab knows {VERSION}."
            raise SelabError("The history is of a newer selab.", detail, "Update selab.")
        if version == VERSION:
            return
        database.execute("PRAGMA journal_mode = WAL")
        with database:
            database.execute("BEGIN IMMEDIATE")
            if database.execute("PRAGMA user_version").fetchone()[0] < VERSION:
                for statement in _SCHEMA.strip().split(";\n"):
                    database.execute(statement)
                database.execute(f"PRAGMA user_version = {VERSION}")


def compare(before: RunDocument, after: RunDocument) -> DenialDiff:
    """The denials that are gone, new and remaining in `after`."""
    return DenialDiff(
        tuple(sorted(before.keys - after.keys)),
        tuple(sorted(after.keys - before.keys)),
        tuple(sorted(before.keys & after.keys)),
    )


def change_in_words(before: RunDocument, after: RunDocument) -> str:
    """One line for the summary: "30 denials, the same as in the run before"."""
    found = compare(before, after)
    count = len(after.keys)
    said = f"{count} denial{'' if count == 1 else 's'}"
    if not found.gone and not found.new:
        return f"{said}, the same as in the run before"
    return f"{said}: {len(found.gone)} gone, {len(found.new)} new, {len(found.remaining)} remaining since the run before"
