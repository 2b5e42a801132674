"""`selab uninstall`."""

from __future__ import annotations

import click

from selab.cli.completion import policies
from selab.cli.session import Context, pass_context
from selab.report.markup import safe


@click.command()
@click.argument("policy", shell_complete=policies)
@pass_context
def uninstall(context: Context, policy: str) -> None:
    """Remove POLICY from the VM's module store.

    \b
    Example:
      selab uninstall selab_apache_full
    """
    from selab.workflows.install import uninstall

    uninstall(context.project, context.machine, policy, context.progress)
    context.out.print(safe(f"{policy} is no longer installed."))
