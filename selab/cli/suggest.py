"""`selab suggest`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from selab.cli.completion import runs
from selab.cli.session import Context, pass_context
from selab.errors import InputError
from selab.report.markup import safe
from selab.report.text import plain_lines

if TYPE_CHECKING:
    from selab.analysis.suggest import Suggestion


@click.command()
@click.argument("name", default="last", metavar="[RUN]", shell_complete=runs)
@click.option(
    "--apply",
    "apply_",
    is_flag=True,
    help="Write the rules into the policy's file, between markers. The old file is kept as NAME.bak.",
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
    from selab.analysis.suggest import suggestions
    from selab.history import History

    run = History.of(context.project).find(name)
    proposals = suggestions(context.project, run, context.progress, risky=allow_risky)
    if all(proposal.file is None for proposal in proposals) and (apply_ or as_diff):
        raise InputError(
            "There is no file that the rules could go to.",
            "The run had no candidate, or its candidate is a file in YAML.",
            "Print the rules with `selab suggest`.",
        )
    if as_json:
        from selab.host.files import to_json

        documents = [_document(proposal) for proposal in proposals]
        click.echo(to_json(documents[0] if len(documents) == 1 else {"schema": 1, "candidates": documents}))
    for proposal in proposals:
        if not as_json:
            if as_diff:
                click.echo(plain_lines(_diff(proposal)), nl=False)
            elif not apply_:
                _print_rules(proposal, titled=len(proposals) > 1)
            _list_denials_without_rule(context, proposal)
        if apply_:
            _apply(context, proposal)


def _print_rules(proposal: Suggestion, *, titled: bool) -> None:
    """Print the rules, below the name of their file if `titled`."""
    if titled and proposal.file:
        click.echo(f"# {proposal.file.name}")
    click.echo(plain_lines(proposal.text) or "# Nothing to add.")


def _document(proposal: Suggestion) -> dict[str, Any]:
    left = [{"denial": str(advice.need), "advice": advice.in_a_line} for advice in proposal.left]
    settled = [{"denial": str(advice.need), **advice.need.ruling.to_json()} for advice in proposal.settled]
    policy = proposal.file.name if proposal.file else ""
    return {"schema": 1, "policy": policy, "rules": proposal.text, "left": left, "settled": settled}


def _diff(proposal: Suggestion) -> str:
    import difflib

    file = proposal.file.name if proposal.file else ""
    before, after = (text.splitlines(keepends=True) for text in (proposal.before, proposal.after))
    return "".join(difflib.unified_diff(before, after, file, file))


def _list_denials_without_rule(context: Context, proposal: Suggestion) -> None:
    """Print the denials that are left to the user, and those that the scenario tolerates or expects."""
    for advice in proposal.left:
        line = f"[yellow]left to you[/yellow]: {safe(str(advice.need))}: {safe(advice.in_a_line)}"
        context.out.print(line, soft_wrap=True)
    for advice in proposal.settled:
        line = f"[dim]no rule[/dim]: {safe(str(advice.need))}: {safe(advice.need.ruling.in_words)}"
        context.out.print(line, soft_wrap=True)


def _apply(context: Context, proposal: Suggestion) -> None:
    """Write the rules into the policy's file, and tell the user the name of the old file."""
    from selab.policy.source_file import rewrite

    if proposal.file is None:
        return
    backup = rewrite(proposal.file, proposal.before, proposal.after)
    context.progress.note(
        f"{proposal.file.name} was written; the old file is {backup.name}."
        if backup
        else f"{proposal.file.name} already contains all of it."
    )
