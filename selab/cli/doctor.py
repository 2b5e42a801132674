"""`selab doctor`."""

from __future__ import annotations

import dataclasses

import click

from selab.cli.context import Context, pass_context
from selab.errors import EXIT_ERROR, EXIT_PASS
from selab.jsonfile import to_json
from selab.report.markup import safe

SIGNS = {"ok": "[green]✓[/green]", "note": "[yellow]•[/yellow]", "bad": "[red]✗[/red]"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@pass_context
def doctor(context: Context, as_json: bool) -> int:
    """Say what is there, what is missing, and what selab will do about it. Changes nothing.

    Exit code: 0 if a run can work, 3 if something is missing that it needs.

    \b
    Example:  selab doctor
    """
    from selab.doctor import State, examine

    findings = []
    for finding in examine(context.project, context.progress):
        findings.append(finding)
        if not as_json:
            remedy = f"\n    [dim]{safe(finding.remedy)}[/dim]" if finding.remedy else ""
            context.out.print(f"{SIGNS[finding.state]} {finding.subject:15} {safe(finding.detail)}{remedy}")
    if as_json:
        click.echo(to_json([dataclasses.asdict(finding) for finding in findings]))
    return EXIT_ERROR if any(finding.state is State.BAD for finding in findings) else EXIT_PASS
