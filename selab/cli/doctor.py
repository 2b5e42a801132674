"""`selab doctor`."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from selab.cli.session import Context, pass_context
from selab.errors import EXIT_ERROR, EXIT_PASS
from selab.host.files import to_json
from selab.report.markup import safe

SIGNS = {"ok": "[green]✓[/green]", "note": "[yellow]•[/yellow]", "bad": "[red]✗[/red]"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.option(
    "--report",
    is_flag=False,
    flag_value="-",
    type=click.Path(dir_okay=False, path_type=Path, allow_dash=True),
    metavar="[FILE]",
    help="Write the checklist of docs/howto/centos.md as Markdown, filled in, without private names.",
)
@pass_context
def doctor(context: Context, as_json: bool, report: Path | None) -> int:
    """Report what is present, what is missing, and what selab does about it. Changes nothing.

    Exit code: 0 if a run can work, 3 if something that it needs is missing.

    \b
    Examples:  selab doctor
               selab doctor --report centos.md
    """
    from selab.doctor.examine import State, examine

    if report:
        return _report(context, report)
    findings = []
    for finding in examine(context.project, context.progress):
        findings.append(finding)
        if not as_json:
            remedy = f"\n    [dim]{safe(finding.remedy)}[/dim]" if finding.remedy else ""
            context.out.print(f"{SIGNS[finding.state]} {finding.subject:15} {safe(finding.detail)}{remedy}")
    if as_json:
        click.echo(to_json([dataclasses.asdict(finding) for finding in findings]))
    return EXIT_ERROR if any(finding.state is State.BAD for finding in findings) else EXIT_PASS


def _report(context: Context, file: Path) -> int:
    from selab.doctor.support_report import checklist
    from selab.errors import InputError
    from selab.report.support_report import markdown

    if str(file) != "-" and file.exists():
        raise InputError("A file of that name exists.", str(file), "Name another one.")
    with context.progress.step("Examining this machine, the guest and the runs"):
        text = markdown(checklist(context.project), context.project)
    if str(file) == "-":
        click.echo(text, nl=False)
    else:
        file.write_text(text, encoding="utf-8")
        context.out.print(safe(f"{file} is written. Read it before you send it."))
    return EXIT_PASS
