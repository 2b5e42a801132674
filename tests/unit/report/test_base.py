"""Base policies on a terminal: a foreign name changes neither the terminal nor the table."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from selab.policy.base import BasePolicy
from selab.report.base import bases_table, document, list_document, show_base


@pytest.fixture
def foreign(base: BasePolicy) -> BasePolicy:
    return replace(base, facts=replace(base.facts, system="\x1b[2J[red]x 9"), imported="d" * 64)


@pytest.mark.parametrize("whole", [False, True])
def test_the_name_of_a_distribution_is_plain_text(foreign: BasePolicy, whole: bool) -> None:
    out = io.StringIO()
    console = Console(file=out, width=300)
    show_base(foreign, console) if whole else console.print(bases_table([foreign]))
    assert "\x1b" not in out.getvalue() and "[red]x 9" in out.getvalue()


def test_an_unknown_distribution_is_reported_as_such(base: BasePolicy) -> None:
    out = io.StringIO()
    show_base(base, Console(file=out, width=300))
    rows = dict(line.split(maxsplit=1) for line in out.getvalue().splitlines())
    assert (rows["distribution"].strip(), rows["from"].strip()) == ("unknown", "a guest")


@pytest.mark.parametrize(("imported", "digest"), [("", False), ("d" * 64, True)])
def test_a_document_says_whether_the_base_policy_was_imported(
    base: BasePolicy, imported: str, digest: bool
) -> None:
    details = document(replace(base, imported=imported))
    assert (details["imported"], details["digest"] == imported) == (digest, digest)


def test_a_list_has_a_row_for_each_base_policy(base: BasePolicy) -> None:
    document = list_document([base, base])
    assert document["schema"] == 1 and len(document["bases"]) == 2  # type: ignore[arg-type]
