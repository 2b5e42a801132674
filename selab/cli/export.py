"""`selab export`."""

from __future__ import annotations

from pathlib import Path

import click

from selab.cli.completion import policies
from selab.cli.session import Context, pass_context
from selab.export.formats import FORMATS
from selab.report.markup import safe

_LIST = "; ".join(f"{entry.name}: {entry.help}" for entry in FORMATS.values())


@click.command()
@click.argument("policy", shell_complete=policies)
@click.option(
    "--as", "format_name", type=click.Choice(list(FORMATS)), required=True, help=f"The format. {_LIST}."
)
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="The directory to write into, by default POLICY-FORMAT. Existing files are not overwritten.",
)
@click.option("--unproven", is_flag=True, help="Export a policy that no enforcing run has proven as well.")
@pass_context
def export(context: Context, policy: str, format_name: str, output: Path | None, unproven: bool) -> None:
    """Write POLICY in the form that the target machines accept. Needs no VM.

    The last enforcing run with the text that is on disk must be a PASS. Its name, base policy and date are in
    the header of what is written.

    \b
    Examples:  selab export selab_apache_full --as rpm
               selab export selab_apache --as spo -o profiles
    """
    from selab.export.export import export

    directory = output or Path(f"{policy}-{format_name}")
    exported = export(
        context.project, policy, FORMATS[format_name], directory, context.progress, unproven=unproven
    )
    for file in exported.files:
        context.out.print(safe(str(directory / file.path)), soft_wrap=True)
    for note in exported.notes:
        context.progress.note(note)
    for command in exported.commands:
        context.progress.note(f"Next, in {directory}: `{command}`")
