"""The options that select reports. `run`, `show`, `learn`, `matrix` and `report` have the same ones."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from selab.cli.session import Context
from selab.report.formats import FORMATS, MARK_WITHIN, Format

if TYPE_CHECKING:
    from rich.console import Console

    from selab.advice.advise import Advice
    from selab.history import StoredRun
    from selab.matrix.plan import Ended
    from selab.report.model import ReportedRun

STDOUT = "-"
_FILE = click.Path(dir_okay=False, writable=True, path_type=Path)
_LIST = "; ".join(f"{entry.name}: {entry.help}" for entry in FORMATS.values())
_OPTIONS = (
    click.option(
        "--format",
        "format_name",
        type=click.Choice(list(FORMATS)),
        help=f"Print a report on standard output, and nothing else there. {_LIST}.",
    ),
    click.option(
        "-o",
        "--output",
        type=click.Path(dir_okay=False, writable=True, path_type=Path, allow_dash=True),
        metavar="FILE",
        help="Write the report to FILE instead; without --format, the format is the one of FILE's suffix.",
    ),
    click.option(
        "--json",
        "as_json",
        is_flag=True,
        help="Print one JSON document and nothing else on standard output.",
    ),
    click.option("--junit", type=_FILE, metavar="FILE", help="Write a JUnit report as well."),
    click.option("--sarif", type=_FILE, metavar="FILE", help="Write a SARIF report as well."),
    click.option("--html", type=_FILE, metavar="FILE", help="Write a page for a reviewer as well."),
    click.option("--force", is_flag=True, help="Also overwrite a file that selab did not write."),
)


@dataclass(frozen=True)
class Output:
    """A report to be made.

    `format`: its format.
    `file`: the file to write; None for standard output.
    `guarded`: whether an existing file is kept if selab did not write it.
    """

    format: Format
    file: Path | None
    guarded: bool = False


@dataclass(frozen=True)
class Reports:
    """The reports that the command line asks for. `force`: overwrite files that selab did not write."""

    outputs: tuple[Output, ...]
    force: bool = False

    @property
    def printed(self) -> bool:
        """Whether a report goes to standard output, which then holds nothing else."""
        return any(output.file is None for output in self.outputs)

    @property
    def advice(self) -> bool:
        """Whether a report shows advice."""
        return any(output.format.advice for output in self.outputs)

    def check(self, *, matrix: bool = False) -> None:
        """Raise InputError, before anything is done, if a report could not be made or written at the end."""
        for output in self.outputs:
            if matrix and not output.format.matrix:
                _refuse_matrix(output.format)
            if output.file is None and not output.format.terminal and sys.stdout.isatty():
                _refuse_terminal(output.format)
            if output.file is not None and output.guarded and not self.force:
                _refuse_other(output.file, output.format)

    def write(
        self,
        context: Context,
        runs: Sequence[StoredRun],
        matrix: Sequence[Ended] = (),
        *,
        out: Console | None = None,
        advice: Mapping[str, Sequence[Advice]] | None = None,
    ) -> None:
        """Make the reports about the runs, the oldest first, and print a line for each file that was written.

        `out`: where the lines go, unless a report is printed there; by default standard error.
        `advice`: what is already known, by the run's id; the rest is looked up if a format shows it.
        """
        from selab.report.markup import safe
        from selab.report.model import Report

        if not self.outputs:
            return
        out = out if out and not self.printed else context.console
        report = Report(tuple(_reported(context, runs, self.advice, advice or {})), tuple(matrix))
        for output in self.outputs:
            data = output.format.render(report).encode("utf-8", "backslashreplace")
            if output.file is None:
                click.echo(data, nl=False)
            else:
                _put(data, output.file)
                line = f"{output.file} is written: {len(runs)} run{'s' * (len(runs) != 1)}."
                out.print(safe(line), soft_wrap=True)


def report_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give the options to a command, which gets them as `reports: Reports`."""

    @functools.wraps(command)
    def wrapper(
        *args: Any,
        format_name: str | None,
        output: Path | None,
        as_json: bool,
        junit: Path | None,
        sarif: Path | None,
        html: Path | None,
        force: bool,
        **kwargs: Any,
    ) -> Any:
        outputs = [_main_output(format_name, output)] if format_name or output else []
        outputs += [Output(FORMATS["json"], None)] * as_json
        outputs += [Output(FORMATS["junit"], junit)] if junit else []
        outputs += [Output(FORMATS["sarif"], sarif)] if sarif else []
        outputs += [Output(FORMATS["html"], html, guarded=True)] if html else []
        if sum(entry.file is None for entry in outputs) > 1:
            raise usage("Only one report can go to standard output: give the other one a file.")
        return command(*args, reports=Reports(tuple(outputs), force), **kwargs)

    decorated: Callable[..., Any] = wrapper
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated


def _main_output(name: str | None, file: Path | None) -> Output:
    """The report of `--format` and `--output`."""
    to_file = file is not None and str(file) != STDOUT
    if name is None:
        suffix = file.suffix if file else ""
        name = next((entry.name for entry in FORMATS.values() if entry.suffix == suffix), None)
    if name is None:
        suffixes = ", ".join(entry.suffix for entry in FORMATS.values())
        raise usage(f"Say --format NAME, or give the file one of these suffixes: {suffixes}.")
    return Output(FORMATS[name], file if to_file else None, guarded=to_file)


def usage(text: str) -> click.UsageError:
    """An error of the command that runs now."""
    return click.UsageError(text, click.get_current_context())


def _refuse_matrix(entry: Format) -> None:
    from selab.errors import InputError

    able = ", ".join(other.name for other in FORMATS.values() if other.matrix)
    raise InputError(
        f"The format {entry.name} cannot represent a matrix.",
        "It has no place for a run's expected verdict.",
        f"Use one of {able}; `selab report RUN --format {entry.name}` reports a single run.",
    )


def _refuse_terminal(entry: Format) -> None:
    from selab.errors import InputError

    raise InputError(
        f"A report in the format {entry.name} cannot be read on a terminal.",
        hint=f"Name a file: `-o report{entry.suffix}`.",
    )


def _refuse_other(file: Path, entry: Format) -> None:
    """Raise InputError if `file` holds something that selab did not write in this format. Devices and pipes
    hold nothing."""
    from selab.errors import InputError

    if not file.is_file() or not file.stat().st_size:
        return
    with file.open(errors="replace") as text:
        if entry.mark not in text.read(MARK_WITHIN):
            raise InputError(
                "There is a file that selab has not written.", str(file), "Name another one, or say --force."
            )


def _put(data: bytes, file: Path) -> None:
    """Write the whole file or nothing; into a device or a pipe, write directly."""
    from selab.host.local import LocalHost

    if file.exists() and not file.is_file():
        file.write_bytes(data)
    else:
        LocalHost().put(data, str(file.resolve()))


def _reported(
    context: Context, runs: Sequence[StoredRun], with_advice: bool, known: Mapping[str, Sequence[Advice]]
) -> list[ReportedRun]:
    from selab.report.model import ReportedRun

    advice: Mapping[str, Sequence[Advice]] = known
    unknown = [run for run in runs if run.document.run not in known]
    if with_advice and unknown:
        from selab.analysis.explain import AdviceCache

        cache = AdviceCache()
        with context.progress.step("Asking for advice"):
            advice = {**known, **{run.document.run: cache.advice(context.project, run) for run in unknown}}
    return [
        replace(
            ReportedRun.of(run.document, run.sources),
            records=tuple(line.decode("utf-8", "backslashreplace") for line in run.records),
            advice=tuple(advice.get(run.document.run, ())),
        )
        for run in runs
    ]
