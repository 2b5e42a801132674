"""Base policies on a terminal: a foreign name changes neither the terminal nor the table."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from selab.policy.base import BasePolicy
from selab.policy.portable import digest_of
from selab.policy.portable_file import VERSION
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


@pytest.mark.parametrize("imported", ["", "d" * 64])
def test_a_document_has_what_the_list_has_and_what_identifies_the_content(
    base: BasePolicy, imported: str
) -> None:
    other = replace(base, facts=replace(base.facts, system="CentOS Stream 9"), denies=True, imported=imported)
    row = {
        "name": "centos9",
        "fingerprint": "f" * 64,
        "distribution": "CentOS Stream 9",
        "policy": "test",
        "policy_version": 33,
        "modules": 1,
        "imported": bool(imported),
        "directory": str(base.directory),
    }
    details = {
        "mls": True,
        "deny_rules": True,
        "format": VERSION,
        "digest": digest_of(other),
        "module_names": ["base"],
    }
    assert list_document([other]) == {"schema": 1, "bases": [row]}
    assert document(other) == {"schema": 1, **row, **details}


@pytest.mark.parametrize(("value", "word"), [(False, "without"), (True, "with")])
def test_a_base_policy_is_shown_with_each_of_its_properties(base: BasePolicy, value: bool, word: str) -> None:
    out = io.StringIO()
    other = replace(base, facts=replace(base.facts, mls=value), denies=value)
    show_base(other, Console(file=out, width=300))
    pairs = (line.split("  ", 1) for line in out.getvalue().splitlines())
    rows = {key.strip(): text.strip() for key, text in pairs}
    assert rows["policy"] == f"test, {word} levels"
    assert rows["deny rules"] == ("yes" if value else "no")
    assert (rows["policy version"], rows["format"], rows["1 modules"]) == ("33", VERSION, "base")
    assert (rows["digest"], rows["directory"]) == (digest_of(other), str(base.directory))
