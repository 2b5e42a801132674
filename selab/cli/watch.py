"""`selab watch`."""

from __future__ import annotations

import click

from selab.cli.completion import policies, scenarios
from selab.cli.run import MODES
from selab.cli.session import Context, pass_context
from selab.run.request import Request, RunOptions, make_plan


@click.command()
@click.argument("scenario", shell_complete=scenarios)
@click.option(
    "--policy", metavar="NAME|none", shell_complete=policies, help="The candidate, instead of the scenario's."
)
@click.option(
    "--setenforce", type=click.Choice(list(MODES)), default="no", show_default=True, help="As in `selab run`."
)
@pass_context
def watch(context: Context, scenario: str, policy: str | None, setenforce: str) -> None:
    """Run SCENARIO again on each save of its policy, its file or its image, until Ctrl-C.

    If you save during a run, the run starts over at once. A policy that does not compile does not reach the
    VM.

    \b
    Example:  selab watch apache
    """
    from selab.analysis.explain import AdviceCache
    from selab.errors import SelabError
    from selab.history import History
    from selab.policy.guest.load import Mode
    from selab.report.markup import safe
    from selab.report.terminal import show_run
    from selab.run import experiment
    from selab.workflows.watch import Watch

    project, history = context.project, History.of(context.project)

    def began() -> None:
        context.console.clear()
        context.console.print(
            f"[bold]selab watch {safe(scenario)}[/bold]  [dim]save to run again, Ctrl-C to end[/dim]"
        )

    def ended(result: experiment.Run | SelabError) -> None:
        if isinstance(result, SelabError):
            for line, style in ((result.what, "bold red"), (result.detail, ""), (result.hint, "dim")):
                if line:
                    context.out.print(safe(line), style=style)
            return
        document = history.add(result)
        advice = advice_cache.advice(project, history.find(document.run), context.progress)
        show_run(document, context.out, change=history.change(document), advice=advice)

    advice_cache = AdviceCache()
    request = Request(scenario, policy, Mode(MODES[setenforce]))
    options = RunOptions(before_steps=advice_cache.begin)
    make_plan(project, request)
    Watch(project, context.machine, request, options, context.new_progress, began, ended).forever()
