"""Expand a matrix file to runs, and describe their results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from selab.errors import EXIT_ERROR, EXIT_FAIL, EXIT_PASS, InputError
from selab.history import Record
from selab.matrix.model import Matrix, Selector
from selab.policy.guest.load import Mode
from selab.project import Project
from selab.run.request import Request, make_plan
from selab.run.verdict import Verdict
from selab.scenario.load import load_scenario


@dataclass(frozen=True)
class Cell:
    """One combination, which is one run.

    scenario, policy, mode: what is run.
    guest: guest's name in the matrix file.
    expected: verdict that the run is expected to have.
    """

    scenario: str
    policy: str
    mode: Mode
    guest: str
    expected: Verdict = Verdict.PASS

    @property
    def request(self) -> Request:
        return Request(self.scenario, self.policy, self.mode)

    def __str__(self) -> str:
        return f"{self.scenario} {self.policy} {self.mode.value} {self.guest}"


@dataclass(frozen=True)
class Failure:
    """Why a run did not happen, in the three parts of a SelabError.

    what: what happened.
    detail: one line of detail.
    hint: what to do.
    """

    what: str
    detail: str = ""
    hint: str = ""


@dataclass(frozen=True)
class Ended:
    """A cell with its result.

    cell: combination.
    result: run, or why there is none.
    slot: name of the VM, or empty.
    host: worker's machine, or empty.
    """

    cell: Cell
    result: Record | Failure
    slot: str = ""
    host: str = ""

    @property
    def verdict(self) -> Verdict:
        return self.result.document.verdict if isinstance(self.result, Record) else Verdict.ERROR

    @property
    def is_right(self) -> bool:
        return self.verdict is self.cell.expected

    @property
    def reasons(self) -> tuple[str, ...]:
        if isinstance(self.result, Record):
            return self.result.document.reasons
        return tuple(line for line in (self.result.what, self.result.detail, self.result.hint) if line)


def exit_code(ended: Sequence[Ended]) -> int:
    """Return ERROR if any run is an error, else FAIL if any run has an unexpected verdict."""
    if any(combination.verdict is Verdict.ERROR for combination in ended):
        return EXIT_ERROR
    return EXIT_PASS if all(combination.is_right for combination in ended) else EXIT_FAIL


def cells(project: Project, matrix: Matrix) -> tuple[Cell, ...]:
    """Return the runs, in the file's order. Raises InputError if the input is invalid."""
    every = dict.fromkeys(_combinations(project, matrix))
    for selector in (*matrix.exclude, *matrix.expect):
        if not any(selector.fits(*combination) for combination in every):
            raise InputError(
                "An `exclude` or `expect` entry matches nothing.",
                str(selector),
                "Correct the entry, or remove it.",
            )
    left = [combination for combination in every if not _first(matrix.exclude, combination)]
    if not left:
        raise InputError("The matrix excludes all its combinations.", hint="Remove an entry of `exclude`.")
    planned = tuple(Cell(*combination, _expected(matrix, combination)) for combination in left)
    for cell in planned:
        make_plan(project, cell.request)
    return planned


Combination = tuple[str, str, Mode, str]


def _combinations(project: Project, matrix: Matrix) -> Iterator[Combination]:
    guests = matrix.settings(project.config.vm)
    if existing := [name for name, vm in guests.items() if vm.box == "host"]:
        raise InputError(
            "A matrix only runs on VMs that selab manages.",
            f"'{existing[0]}' is `box: host`, an existing machine.",
            "Name boxes as `guests`.",
        )
    for scenario in matrix.scenarios:
        policies = matrix.policies or (load_scenario(project, scenario).policy,)
        yield from product((scenario,), policies, matrix.modes, guests)


def _expected(matrix: Matrix, combination: Combination) -> Verdict:
    match = next((entry for entry in matrix.expect if entry.fits(*combination)), None)
    return Verdict(match.verdict.upper()) if match else Verdict.PASS


def _first(entries: Sequence[Selector], combination: Combination) -> bool:
    return any(entry.fits(*combination) for entry in entries)
