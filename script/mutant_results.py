"""What became of the mutants: the survivors, those that are known as equivalent, and the table of scores."""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
HEADING = """\
| package | mutants | killed | survived | without tests | equivalent | score |
|---|---|---|---|---|---|---|"""
KILLED, SURVIVED, UNTESTED = "killed", "survived", "without tests"


@dataclass(frozen=True)
class Result:
    """A mutant, and what became of it.

    where: the function, as in `selab/run/outcome.py::Outcome.ok`, or the path of a script.
    old, new: the changed lines, without indentation.
    status: KILLED, SURVIVED or UNTESTED.
    """

    where: str
    old: str
    new: str
    status: str

    @property
    def key(self) -> tuple[str, str, str]:
        """What identifies the mutant, also after other lines were edited."""
        return self.where, self.old, self.new

    @property
    def wording(self) -> bool:
        """Whether mutmut only changed the wording of a sentence: no test compares whole sentences."""
        sentence = re.search(r"\w,? \w.*[\"']", self.old)
        return bool(sentence) and _words(self.old) == _words(self.new)

    def __str__(self) -> str:
        lines = [f"  - {line}" for line in self.old.splitlines()]
        lines += [f"  + {line}" for line in self.new.splitlines()]
        return "\n".join([f"{self.where} ({self.status})", *lines])


def _words(line: str) -> str:
    return line.replace("XX", "").lower()


@dataclass(frozen=True)
class Equivalent:
    """A mutant that behaves as the original does, so that no test can notice it, and the reason."""

    where: str
    old: str
    new: str
    reason: str

    @property
    def key(self) -> tuple[str, str, str]:
        return self.where, self.old.strip(), self.new.strip()


def read_equivalents(path: Path) -> list[Equivalent]:
    """Read the list of equivalent mutants. Raises TypeError if an entry has other keys than the four."""
    return [Equivalent(**entry) for entry in tomllib.loads(path.read_text()).get("equivalent", [])]


@dataclass
class Score:
    """The results of one package.

    survivors: the mutants that no test killed and that are not equivalent.
    equivalent: how many mutants are.
    stale: the entries that match no surviving mutant of a function that was mutated.
    """

    name: str
    results: list[Result]
    survivors: list[Result] = field(default_factory=list)
    equivalent: int = 0
    stale: list[Equivalent] = field(default_factory=list)

    @property
    def row(self) -> str:
        killed, survived, untested = (
            sum(result.status == status for result in self.results) for status in (KILLED, SURVIVED, UNTESTED)
        )
        counted = len(self.results) - self.equivalent
        share = 100 * killed / counted if counted else 100.0
        numbers = (len(self.results), killed, survived, untested, self.equivalent)
        return f"| {self.name} | {' | '.join(map(str, numbers))} | {share:.1f} % |"


def score(name: str, results: list[Result], equivalents: Iterable[Equivalent]) -> Score:
    """Compare the results of a package with the equivalent mutants of the functions that were mutated."""
    places = {result.where for result in results}
    entries = {entry.key: entry for entry in equivalents if entry.where in places}
    alive = [result for result in results if result.status != KILLED]
    survivors = [result for result in alive if result.key not in entries]
    keys = {result.key for result in alive}
    stale = [entry for key, entry in entries.items() if key not in keys]
    return Score(name, results, survivors, len(alive) - len(survivors), stale)


def changed_lines(old: list[str], new: list[str]) -> tuple[str, str]:
    """Return the lines that differ between two lists of lines, without indentation."""
    first = 0
    while first < min(len(old), len(new)) and old[first] == new[first]:
        first += 1
    last = 0
    while last < min(len(old), len(new)) - first and old[-1 - last] == new[-1 - last]:
        last += 1
    parts = old[first : len(old) - last], new[first : len(new) - last]
    before, after = ("\n".join(line.strip() for line in part) for part in parts)
    return before, after


def sample(items: list[T], one_in: int) -> list[T]:
    """Return a random sample of the items in their order: one in so many, the same ones each time."""
    count = -(-len(items) // one_in)
    return [items[index] for index in sorted(random.Random(1).sample(range(len(items)), count))]
