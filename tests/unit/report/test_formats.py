"""The table of formats against the modules, the commands and what each format writes."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import click
import pytest

import selab.report
from selab.cli.root import cli
from selab.report.formats import FORMATS, MARK_WITHIN, Format
from selab.report.model import Report
from tests.unit.documents import SETTLED, document, report

from .test_matrix import ALL, report_of

COMMANDS = ("run", "show", "learn", "matrix", "report")
MODULES = Path(str(selab.report.__file__)).parent

each = pytest.mark.parametrize("entry", FORMATS.values(), ids=FORMATS)


def command(name: str) -> click.Command:
    made = cli.get_command(click.Context(cli), name)
    assert made is not None
    return made


def test_every_module_that_renders_reports_is_in_the_table() -> None:
    able = {path.stem for path in MODULES.glob("*.py") if "\ndef render(" in path.read_text()}
    assert able == {entry.module for entry in FORMATS.values()}


@each
def test_every_module_has_one_function_of_the_same_signature(entry: Format) -> None:
    render = importlib.import_module(f"selab.report.{entry.module}").render
    assert str(inspect.signature(render)) == "(report: 'Report') -> 'str'"


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_offers_every_format(name: str) -> None:
    (option,) = [option for option in command(name).params if option.name == "format_name"]
    assert isinstance(option.type, click.Choice) and list(option.type.choices) == list(FORMATS)


@pytest.mark.parametrize("name", COMMANDS)
@each
def test_the_help_of_each_command_says_what_a_format_is_for(name: str, entry: Format) -> None:
    (option,) = [option for option in command(name).params if option.name == "format_name"]
    assert isinstance(option, click.Option) and f"{entry.name}: {entry.help}" in str(option.help)


@pytest.mark.parametrize("attribute", ["name", "module", "suffix"])
def test_no_two_formats_share(attribute: str) -> None:
    values = [getattr(entry, attribute) for entry in FORMATS.values()]
    assert len(set(values)) == len(values)


@each
def test_a_report_is_recognised_by_its_mark(entry: Format) -> None:
    made = [report(document()), report(document(), document(run="b")), report(document(**SETTLED))]
    made += [report_of(ALL)] * entry.matrix
    assert all(entry.mark in entry.render(content)[:MARK_WITHIN] for content in made)


@pytest.mark.parametrize("entry", [entry for entry in FORMATS.values() if entry.terminal])
def test_a_report_for_a_terminal_ends_with_one_line_feed(entry: Format) -> None:
    text = entry.render(report(document()))
    assert text.endswith("\n") and not text.endswith("\n\n")


@each
def test_a_matrix_without_any_run_is_reported(entry: Format) -> None:
    if entry.matrix:
        assert "The VM did not come." in entry.render(Report((), (ALL[-1],)))


@pytest.mark.program
def test_only_the_page_takes_a_template_engine() -> None:
    names = sorted(set(FORMATS) - {"html"})
    code = (
        "import sys; from tests.unit.documents import document, report; from selab.report.formats "
        "import FORMATS; "
        f"[FORMATS[name].render(report(document())) for name in {names}]; print('jinja2' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "False"
