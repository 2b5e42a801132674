"""`selab check`."""

from __future__ import annotations

import click

from selab.cli.completion import policies
from selab.cli.session import Context, pass_context


@click.command()
@click.argument("policies", nargs=-1, metavar="[POLICY]...", shell_complete=policies)
@click.option("--json", "as_json", is_flag=True, help="Print the findings as one JSON document.")
@pass_context
def check(context: Context, policies: tuple[str, ...], as_json: bool) -> int:
    """Compile, link and lint each POLICY (all, if none is named) without a VM, against the base policy of the
    last run.

    The exit code is 1 if one of the findings is an error, else 0. Only a run proves a policy.

    \b
    Examples:  selab check
               selab check selab_apache --json
    """
    from pathlib import Path

    from selab.analysis.check import check
    from selab.errors import EXIT_FAIL, EXIT_PASS
    from selab.host.files import to_json
    from selab.report.check import document, show_check

    result = check(context.project, policies, context.progress)
    if as_json:
        click.echo(to_json(document(result, Path.cwd())))
    else:
        show_check(result, Path.cwd(), context.out)
    return EXIT_FAIL if result.failed else EXIT_PASS
