"""`selab history`, `selab show` and `selab diff`."""

from __future__ import annotations

import click
from rich.table import Table

from selab.cli.completion import runs, scenarios
from selab.cli.session import Context, pass_context
from selab.report.markup import safe
from selab.report.text import plain


@click.command()
@click.argument("scenario", required=False, shell_complete=scenarios)
@click.option(
    "-n", "--limit", type=click.IntRange(1, 10000), default=20, show_default=True, help="How many runs."
)
@pass_context
def history(context: Context, scenario: str | None, limit: int) -> None:
    """List the runs of this project, the newest first; of SCENARIO only, if one is given.

    \b
    Example:  selab history apache
    """
    from selab.history import History
    from selab.report.terminal import COLOURS

    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for name in ("run", "started (UTC)", "scenario", "policy", "mode", "denials", "verdict"):
        table.add_column(name, justify="right" if name == "denials" else "left")
    for stored in History.of(context.project).latest(limit, scenario):
        run = stored.document
        colour = COLOURS[run.verdict]
        words = (
            run.run,
            f"{run.started:%Y-%m-%d %H:%M:%S}",
            run.scenario,
            run.policy,
            run.mode.value,
            str(len(run.keys)),
        )
        table.add_row(*map(safe, words), f"[{colour}]{run.verdict.value}[/{colour}]")
    context.out.print(table if table.row_count else "No runs yet: `selab run SCENARIO` makes the first.")


@click.command()
@click.argument("run", default="last")
@click.option("--json", "as_json", is_flag=True, help="Print the run's JSON document.")
@click.option(
    "--all", "everything", is_flag=True, help="Show the denials of the rest of the machine as well."
)
@click.option("--raw", is_flag=True, help="Print the raw records of the run's window.")
@pass_context
def show(context: Context, run: str, as_json: bool, everything: bool, raw: bool) -> None:
    """Show RUN again: its id or the beginning of it, `last`, or `last~N`.

    \b
    Example:  selab show last~1
    """
    from selab.history import History
    from selab.report.terminal import show_run

    stored = History.of(context.project).find(run)
    if raw:
        for line in stored.records:
            click.echo(plain(line.decode("utf-8", "backslashreplace")))
    elif as_json:
        click.echo(stored.document.as_json())
    else:
        show_run(stored.document, context.out, everything=everything)


@click.command()
@click.argument("before", required=False, shell_complete=runs)
@click.argument("after", default="last", shell_complete=runs)
@pass_context
def diff(context: Context, before: str | None, after: str) -> None:
    """Show which denials are gone, new and remaining between two runs, and the change of the policy that did it.

    Without BEFORE: between AFTER (the last run, if not given) and the run of the same scenario before it.

    \b
    Example:  selab diff last~1 last
    """
    from selab.errors import InputError
    from selab.history import History, change_in_words, compare
    from selab.report.difference import show_difference

    runs = History.of(context.project)
    new = runs.find(after)
    old = runs.find(before) if before else runs.before(new)
    if old is None:
        hint = f"`selab run {new.document.scenario}` makes one to compare with; `selab history` lists those of other scenarios."
        raise InputError(
            f"There is no run of '{new.document.scenario}' before {new.document.run}.", hint=hint
        )
    out = context.out
    out.print(
        f"{safe(old.document.run)} {old.document.verdict.value} -> {safe(new.document.run)} {new.document.verdict.value}"
    )
    found = compare(old.document, new.document)
    for sign, colour, keys in (
        ("-", "green", found.gone),
        ("+", "red", found.new),
        (" ", "dim", found.remaining),
    ):
        for key in keys:
            out.print(f"  [{colour}]{sign} {safe(str(key))}[/{colour}]")
    for ending in sorted(old.sources.keys() | new.sources.keys()):
        was, now = (stored.sources.get(ending, "") for stored in (old, new))
        names = (f"{stored.document.policy}.{ending} {stored.document.run}" for stored in (old, new))
        show_difference(was, now, (next(names), next(names)), out)
    out.print(change_in_words(old.document, new.document))
