"""`selab diff`."""

from __future__ import annotations

import click

from selab.cli.completion import runs
from selab.cli.session import Context, pass_context
from selab.report.markup import safe


@click.command()
@click.argument("before", required=False, shell_complete=runs)
@click.argument("after", default="last", shell_complete=runs)
@pass_context
def diff(context: Context, before: str | None, after: str) -> None:
    """Show which denials are gone, new and remaining between two runs, and how the policy changed.

    AFTER is the last run by default, and BEFORE the run of the same scenario before it.

    \b
    Example:  selab diff last~1 last
    """
    from selab.errors import InputError
    from selab.history import History, change_in_words, compare
    from selab.report.difference import denial_lines, show_difference

    history = History.of(context.project)
    new = history.find(after)
    old = history.find(before) if before else history.before(new)
    if old is None:
        scenario = new.document.scenario
        hint = f"`selab run {scenario}` makes one to compare with; `selab history` lists the other runs."
        raise InputError(f"There is no run of '{scenario}' before {new.document.run}.", hint=hint)
    out = context.out
    heads = [f"{safe(stored.document.run)} {stored.document.verdict.value}" for stored in (old, new)]
    out.print(" -> ".join(heads))
    changed = compare(old.document, new.document)
    for line in denial_lines(changed):
        out.print(line)
    for missing in new.document.missing:
        out.print(f"  [red]expected, but did not occur[/red]: {safe(missing.entry)}", soft_wrap=True)
    for key in sorted(old.sources.keys() | new.sources.keys()):
        was, now = (stored.sources.get(key, "") for stored in (old, new))
        names = (f"{stored.file_name(key)} {stored.document.run}" for stored in (old, new))
        show_difference(was, now, (next(names), next(names)), out)
    out.print(change_in_words(old.document, new.document))
