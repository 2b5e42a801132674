"""`selab install`."""

from __future__ import annotations

import click

from selab.cli.completion import policies
from selab.cli.session import Context, pass_context
from selab.report.markup import safe


@click.command()
@click.argument("policy", shell_complete=policies)
@click.option(
    "--scenario", help="The scenario that proves the policy, if the project has several with this policy."
)
@pass_context
def install(context: Context, policy: str, scenario: str | None) -> int:
    """Install POLICY in the VM's module store, where it survives a reboot, and run its scenario in enforcing
    mode.

    This is deliberately the slow way: the guest rebuilds its whole policy. The exit code is that of `selab
    run`. The policy stays installed, whatever the verdict.

    \b
    Example:
      selab install selab_apache_full --scenario apache
    """
    from selab.history import History
    from selab.report.terminal import show_run
    from selab.workflows.install import install, scenario_for

    project, history = context.project, History.of(context.project)
    chosen = scenario or scenario_for(project, policy)
    result = install(project, context.machine, policy, chosen, context.progress)
    document = history.add(result)
    show_run(document, context.out, change=history.change(document))
    context.out.print(safe(f"{policy} is installed. Remove it with `selab uninstall {policy}`."))
    return result.verdict.exit_code
