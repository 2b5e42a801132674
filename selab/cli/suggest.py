"""`selab suggest`."""

from __future__ import annotations

import click

from selab.cli.completion import runs
from selab.cli.session import Context, pass_context
from selab.errors import InputError
from selab.report.markup import safe
from selab.report.text import plain_lines


@click.command()
@click.argument("name", default="last", metavar="[RUN]", shell_complete=runs)
@click.option(
    "--apply",
    "apply_",
    is_flag=True,
    help="Write the rules into the policy's .te, between markers; the old file is kept as .te.bak.",
)
@click.option("--diff", "as_diff", is_flag=True, help="Print what --apply would change.")
@click.option("--allow-risky", is_flag=True, help="Also what leads out of the container or to root.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print the rules and what is left for a person as JSON."
)
@pass_context
def suggest(
    context: Context, name: str, apply_: bool, as_diff: bool, allow_risky: bool, as_json: bool
) -> None:
    """Suggest the rules that a RUN's denials ask for, each with the denial that asked for it.

    Denials that a label or a boolean would mend, and rules of high risk, are left for a person and named.

    \b
    Examples:  selab suggest
               selab suggest last --apply
    """
    import difflib

    from selab.analysis.suggest import suggestion
    from selab.history import History
    from selab.host.files import to_json
    from selab.policy.source_file import rewrite

    found = suggestion(
        context.project, History.of(context.project).find(name), context.progress, risky=allow_risky
    )
    if found.te is None and (apply_ or as_diff):
        raise InputError(
            "The domain is named by a block of CIL.",
            "selab writes into .te files only.",
            "`selab suggest` prints the rules.",
        )
    file = found.te.name if found.te else ""
    if as_json:
        left = [{"denial": str(one.need), "advice": one.in_a_line} for one in found.left]
        click.echo(to_json({"schema": 1, "policy": file, "rules": found.text, "left": left}))
    elif as_diff:
        lines = (found.before.splitlines(keepends=True), found.after.splitlines(keepends=True))
        click.echo(plain_lines("".join(difflib.unified_diff(*lines, file, file))), nl=False)
    elif not apply_:
        click.echo(plain_lines(found.text) or "# Nothing to add.")
    for one in () if as_json else found.left:
        context.out.print(
            f"[yellow]left to you[/yellow]: {safe(str(one.need))}: {safe(one.in_a_line)}", soft_wrap=True
        )
    if apply_ and found.te:
        backup = rewrite(found.te, found.before, found.after)
        said = (
            f"{file} is written; the old one is {backup.name}." if backup else f"{file} has it all already."
        )
        context.progress.note(said)
