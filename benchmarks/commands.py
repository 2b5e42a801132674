"""List the commands that selab sends to the guest in a warm round, with their times.

    python -m benchmarks.commands --project DIR [--policy NAME] [--rounds 5]

DIR is a selab project whose VM is up, with the example's scenario `apache`. Rounds alternate between a
changed policy and an unchanged one, over a connection that is open, as in `selab watch`. A row is one round
trip: a plus joins the scripts that are sent together. `begin` is when it is sent, after the beginning of the
round; a row `the verdict` says when the user knows the result. Medians in seconds.
"""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import selab
from benchmarks.loop import PERMISSIONS, Edited, begin
from selab.guest import RUN_TIMEOUT, Completed, Guest, script
from selab.progress import Progress
from selab.run.experiment import Run

ROOT = Path(selab.__file__).parent
PART = re.compile(r"part\(\) \{\n(.*?)\n\}\n\( part ", re.DOTALL)
VERDICT = "the verdict"
Row = tuple[str, float, float]
"""What was sent, when, and the seconds until its answer."""


def scripts() -> dict[str, str]:
    """Return the name of each script of the guest's side, by its text."""
    files = [path for path in ROOT.rglob("scripts/*.sh") if not path.name.startswith("lib-")]
    names = [f"{path.parents[1].relative_to(ROOT)}/{path.stem}" for path in files]
    return {script(name): name for name in names}


class TimedGuest:
    """A guest that notes its commands in `rows`."""

    def __init__(self, guest: Guest) -> None:
        self._guest = guest
        self._names = scripts()
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
        with self._timed(self._name(argv)):
            return self._guest.run(argv, input=input, timeout=timeout, limit=limit)

    def put(self, data: bytes, path: str, *, mode: int = 0o644) -> None:
        with self._timed(f"put {path}"):
            self._guest.put(data, path, mode=mode)

    def get(self, path: str) -> bytes:
        with self._timed(f"get {path}"):
            return self._guest.get(path)

    def verdict(self, run: Run) -> None:
        """Note when the run has its verdict."""
        with self._timed(VERDICT):
            pass

    def close(self) -> None:
        self._guest.close()

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        self.rows.append((name, begin - self.started, time.perf_counter() - begin))

    def _name(self, argv: Sequence[str]) -> str:
        if tuple(argv[:2]) != ("sh", "-c"):
            return " ".join(argv)[:60]
        texts = PART.findall(argv[2]) or [argv[2]]
        return " + ".join(self._names.get(text, "a script") for text in texts)


def measured(guest: TimedGuest, edited: Edited) -> list[Row]:
    """Run the scenario once, and return what was sent to the guest."""
    guest.rows, guest.started = [], time.perf_counter()
    edited.run(guest, Progress(), guest.verdict)
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
    opened, edited, rounds = begin(__doc__)
    guest = TimedGuest(opened)
    changed: list[list[Row]] = []
    unchanged: list[list[Row]] = []
    with edited.restored():
        measured(guest, edited)
        for permission in (PERMISSIONS * rounds)[:rounds]:
            edited.edit(permission)
            changed.append(measured(guest, edited))
            unchanged.append(measured(guest, edited))
    show("after a change", changed)
    show("without a change", unchanged)


if __name__ == "__main__":
    main()
