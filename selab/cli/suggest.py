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
    help="Write the rules into the policy's .te, between markers. The old file is kept as .te.bak.",
)
@click.option("--diff", "as_diff", is_flag=True, help="Print what --apply would change.")
@click.option("--allow-risky", is_flag=True, help="Include rules that lead out of the container or to root.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print the rules, and the denials that are left for you, as JSON."
)
@pass_context
def suggest(
    context: Context, name: str, apply_: bool, as_diff: bool, allow_risky: bool, as_json: bool
) -> None:
    """Suggest the rules that a RUN's denials need, each with its denial.

    Denials that a label or a boolean would fix, and rules of high risk, are left for you to decide, and
    listed. Denials that the scenario tolerates or expects get no rule, and are listed with the reason.

    \b
    Examples:  selab suggest
               selab suggest last --apply
    """
    import difflib

    from selab.analysis.suggest import suggestion
    from selab.history import History
    from selab.host.files import to_json
    from selab.policy.source_file import rewrite

    proposal = suggestion(
        context.project, History.of(context.project).find(name), context.progress, risky=allow_risky
    )
    if proposal.te is None and (apply_ or as_diff):
        raise InputError(
            "The domain is defined in a block of CIL.",
            "selab writes into .te files only.",
            "Print the rules with `selab suggest`.",
        )
    file = proposal.te.name if proposal.te else ""
    if as_json:
        left = [{"denial": str(advice.need), "advice": advice.in_a_line} for advice in proposal.left]
        settled = [
            {"denial": str(advice.need), **advice.need.ruling.to_json()} for advice in proposal.settled
        ]
        answer = {"schema": 1, "policy": file, "rules": proposal.text, "left": left, "settled": settled}
        click.echo(to_json(answer))
    elif as_diff:
        lines = (proposal.before.splitlines(keepends=True), proposal.after.splitlines(keepends=True))
        click.echo(plain_lines("".join(difflib.unified_diff(*lines, file, file))), nl=False)
    elif not apply_:
        click.echo(plain_lines(proposal.text) or "# Nothing to add.")
    for advice in () if as_json else proposal.left:
        context.out.print(
            f"[yellow]left to you[/yellow]: {safe(str(advice.need))}: {safe(advice.in_a_line)}",
            soft_wrap=True,
        )
    for advice in () if as_json else proposal.settled:
        context.out.print(
            f"[dim]no rule[/dim]: {safe(str(advice.need))}: {safe(advice.need.ruling.in_words)}",
            soft_wrap=True,
        )
    if apply_ and proposal.te:
        backup = rewrite(proposal.te, proposal.before, proposal.after)
        context.progress.note(
            f"{file} was written; the old file is {backup.name}."
            if backup
            else f"{file} already contains all of it."
        )
