"""List the commands that selab sends to the guest in a warm round, with their times.

    python -m benchmarks.commands --project DIR [--policy NAME] [--rounds 5]

DIR is a selab project whose VM is up, with the example's scenario `apache`. Rounds alternate between a
changed policy and an unchanged one, over a connection that is open, as in `selab watch`. A row is one round
trip: a plus joins the scripts that are sent together. `begin` is when it is sent, after the beginning of the
round; a row `the verdict` says when the user knows the result. Medians in seconds.
"""

from __future__ import annotations

import argparse
import importlib.resources
import re
import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from importlib.resources.abc import Traversable
from pathlib import Path

from benchmarks.loop import PERMISSIONS, Edited
from selab.guest import RUN_TIMEOUT, Completed, Guest, script
from selab.history import History
from selab.progress import Progress
from selab.project import find_project
from selab.run import experiment
from selab.run.context import precompile
from selab.vm.virtual_machine import VirtualMachine

PART = re.compile(r"part\(\) \{\n(.*?)\n\}\n\( part ", re.DOTALL)
VERDICT = "the verdict"
Row = tuple[str, float, float]
"""What was sent, when, and the seconds until its answer."""


def scripts(directory: Traversable, place: str = "") -> dict[str, str]:
    """Return the name of each script of the guest's side, by its text."""
    names: dict[str, str] = {}
    for entry in directory.iterdir():
        if entry.is_dir():
            names |= scripts(entry, f"{place}/{entry.name}" if place else entry.name)
        elif place.endswith("/scripts") and entry.name.endswith(".sh") and not entry.name.startswith("lib-"):
            name = f"{place.removesuffix('/scripts')}/{entry.name.removesuffix('.sh')}"
            names[script(name)] = name
    return names


class TimedGuest:
    """A guest that notes its commands in `rows`."""

    def __init__(self, guest: Guest) -> None:
        self._guest = guest
        self._names = scripts(importlib.resources.files("selab"))
        self.started = 0.0
        self.rows: list[Row] = []

    def run(
        self,
        argv: Sequence[str],
        *,
        input: bytes = b"",
        timeout: float = RUN_TIMEOUT,
        limit: int | None = None,
    ) -> Completed:
        begin = time.perf_counter()
        done = self._guest.run(argv, input=input, timeout=timeout, limit=limit)
        self.note(self._name(argv), begin)
        return done

    def note(self, name: str, begin: float) -> None:
        """Add a row that began at `begin`."""
        self.rows.append((name, begin - self.started, time.perf_counter() - begin))

    def put(self, data: bytes, path: str, *, mode: int = 0o644) -> None:
        begin = time.perf_counter()
        self._guest.put(data, path, mode=mode)
        self.note(f"put {path}", begin)

    def get(self, path: str) -> bytes:
        begin = time.perf_counter()
        data = self._guest.get(path)
        self.note(f"get {path}", begin)
        return data

    def close(self) -> None:
        self._guest.close()

    def _name(self, argv: Sequence[str]) -> str:
        if tuple(argv[:2]) != ("sh", "-c"):
            return " ".join(argv)[:60]
        texts = PART.findall(argv[2]) or [argv[2]]
        return " + ".join(self._names.get(text, "a script") for text in texts)


def measured(guest: TimedGuest, edited: Edited) -> list[Row]:
    """Run the scenario once, and return what was sent to the guest."""
    project, progress = edited.project, Progress()
    guest.rows, guest.started = [], time.perf_counter()
    plan = edited.plan()
    with precompile(project, plan, progress):
        result = experiment.run_on(
            guest,
            VirtualMachine(project),
            project,
            plan,
            progress,
            lambda run: guest.note(VERDICT, time.perf_counter()),
        )
    History.of(project).add(result)
    return guest.rows


def show(title: str, rounds: Sequence[Sequence[Row]]) -> None:
    """Print the medians of rounds that have sent the same commands."""
    names = [name for name, _, _ in rounds[0]]
    same = [rows for rows in rounds if [name for name, _, _ in rows] == names]
    print(f"{title}: {len(same)} of {len(rounds)} rounds with these commands\n   begin  seconds")
    for number, name in enumerate(names):
        begin = statistics.median(rows[number][1] for rows in same)
        seconds = statistics.median(rows[number][2] for rows in same)
        print(f"  {begin:6.2f}  {seconds:7.2f}  {name}")
    in_guest = statistics.median(sum(seconds for _, _, seconds in rows) for rows in same)
    print(f"  {len(names) - 1} round trips, {in_guest:.2f} s")


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--project", type=Path, required=True)
    options.add_argument("--policy", help="its name, if it is not the scenario's own")
    options.add_argument("--rounds", type=int, default=5)
    given = options.parse_args()
    project = find_project(given.project)
    edited = Edited(project, given.policy)
    guest = TimedGuest(VirtualMachine(project).ensure(Progress()))
    source = edited.module.path
    changed: list[list[Row]] = []
    unchanged: list[list[Row]] = []
    with tempfile.TemporaryDirectory() as backup:
        shutil.copy(source, backup)
        try:
            measured(guest, edited)
            for permission in (PERMISSIONS * given.rounds)[: given.rounds]:
                edited.edit(permission)
                changed.append(measured(guest, edited))
                unchanged.append(measured(guest, edited))
        finally:
            shutil.copy(Path(backup) / source.name, source)
    show("after a change", changed)
    show("without a change", unchanged)


if __name__ == "__main__":
    main()
