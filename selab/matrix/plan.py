"""What a matrix file asks for, and what became of it."""

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
from selab.scenario import load_scenario


@dataclass(frozen=True)
class Cell:
    """One combination, which is one run. `guest` is the guest's name in the matrix file."""

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
    """Why no run came about, in the three parts of a SelabError."""

    what: str
    detail: str = ""
    hint: str = ""


@dataclass(frozen=True)
class Ended:
    """A cell with its run, or with the reason why there is none. `slot` names the VM, `host` the worker's machine, or nothing."""

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

    @property
    def denials(self) -> int:
        return len(self.result.document.keys) if isinstance(self.result, Record) else 0


def exit_code(ended: Sequence[Ended]) -> int:
    """ERROR where any run is one, else FAIL where any did not end as it was expected to."""
    if any(one.verdict is Verdict.ERROR for one in ended):
        return EXIT_ERROR
    return EXIT_PASS if all(one.is_right for one in ended) else EXIT_FAIL


def cells(project: Project, matrix: Matrix) -> tuple[Cell, ...]:
    """The runs, in the file's order. Raises InputError for whatever is wrong with what they are made from; nothing has been changed."""
    every = dict.fromkeys(_combinations(project, matrix))
    for which in (*matrix.exclude, *matrix.expect):
        if not any(which.fits(*one) for one in every):
            raise InputError(
                "The matrix has no such combination.",
                str(which),
                "Look for a mistake in `exclude` and `expect`.",
            )
    left = [one for one in every if not _first(matrix.exclude, one)]
    if not left:
        raise InputError("The matrix excludes all that it has.", hint="Take something out of `exclude`.")
    found = tuple(Cell(*one, _expected(matrix, one)) for one in left)
    for cell in found:
        make_plan(project, cell.request)
    return found


Combination = tuple[str, str, Mode, str]


def _combinations(project: Project, matrix: Matrix) -> Iterator[Combination]:
    guests = matrix.settings(project.config.vm)
    if existing := [name for name, vm in guests.items() if vm.box == "host"]:
        raise InputError(
            "A matrix runs on VMs of its own.",
            f"'{existing[0]}' is `box: host`, a machine of yours.",
            "Name boxes as `guests`.",
        )
    for scenario in matrix.scenarios:
        policies = matrix.policies or (load_scenario(project, scenario).policy,)
        yield from product((scenario,), policies, matrix.modes, guests)


def _expected(matrix: Matrix, one: Combination) -> Verdict:
    found = next((entry for entry in matrix.expect if entry.fits(*one)), None)
    return Verdict(found.verdict.upper()) if found else Verdict.PASS


def _first(entries: Sequence[Selector], one: Combination) -> bool:
    return any(entry.fits(*one) for entry in entries)
