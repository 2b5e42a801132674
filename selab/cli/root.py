"""The top command: options that all commands share, and the commands. Each command is imported when it is
called."""

from __future__ import annotations

import importlib
from pathlib import Path

import click

from selab import __version__
from selab.cli.session import Context

COMMANDS = {
    "init": ("selab.cli.init", "Create a working project in a directory."),
    "new": ("selab.cli.new", "Write a first version of a policy or a scenario."),
    "run": ("selab.cli.run", "Run a scenario and show what SELinux denied."),
    "matrix": ("selab.cli.matrix", "Run policies x scenarios x modes x guests on several VMs."),
    "watch": ("selab.cli.watch", "Run a scenario again on each save."),
    "history": ("selab.cli.history", "List the runs of this project."),
    "show": ("selab.cli.show", "Show a run again."),
    "diff": ("selab.cli.diff", "Show what changed between two runs."),
    "report": ("selab.cli.report", "Write a report about runs: a page for a reviewer, or another format."),
    "replay": (
        "selab.cli.replay",
        "Show what a candidate would decide about recorded denials, without a VM.",
    ),
    "check": ("selab.cli.check", "Compile, link and lint policies without a VM."),
    "explain": (
        "selab.cli.explain",
        "Explain each denial: what was requested, what denied it, and what to do.",
    ),
    "suggest": ("selab.cli.suggest", "Suggest the rules that a run's denials need."),
    "learn": ("selab.cli.learn", "Run, add the missing rules, and run again until the scenario passes."),
    "minimise": ("selab.cli.minimise", "Reduce a policy that passes to the parts that it needs."),
    "audit": ("selab.cli.audit", "Show what a policy adds to the base policy, and where it may lead."),
    "export": ("selab.cli.export", "Write a policy as a package, a role, a profile or another form."),
    "install": ("selab.cli.install", "Install a policy permanently, and prove it with its scenario."),
    "uninstall": ("selab.cli.uninstall", "Remove an installed policy."),
    "denials": ("selab.cli.denials", "Summarise the denials of any audit log."),
    "vm": (
        "selab.cli.vm",
        "The virtual machine: list, up, status, suspend, halt, reset, destroy, ssh, console.",
    ),
    "box": ("selab.cli.box", "The boxes that selab builds itself."),
    "base": ("selab.cli.base", "Base policies: list and show them, export one, import one without a VM."),
    "schema": ("selab.cli.schema", "Print the JSON Schema of what you write, for editors."),
    "trust": (
        "selab.cli.trust",
        "Allow a project of another user, or a project's own Vagrantfile, box or host.",
    ),
    "completion": ("selab.cli.completion", "Print the completion for bash, zsh or fish."),
    "doctor": (
        "selab.cli.doctor",
        "Show what is installed, what is missing, and what selab will do about it.",
    ),
}
"""Name, module and help of each command. The help is here so that `selab --help` imports no command."""

SECTIONS = {
    "First contact": ("init", "new", "doctor", "trust", "completion", "schema"),
    "The loop": ("run", "watch", "check", "replay", "history", "show", "diff"),
    "Advice": ("explain", "suggest", "learn", "minimise"),
    "Review": ("matrix", "audit", "denials", "report"),
    "The machine": ("vm", "box", "base", "install", "uninstall", "export"),
}
"""The commands by purpose, in the order of the help."""


class LazyGroup(click.Group):
    """A group that imports a command's module only when the command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(COMMANDS[cmd_name][0]), cmd_name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        widest = max(map(len, COMMANDS))
        for section, names in SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl([(name.ljust(widest), COMMANDS[name][1]) for name in names])


@click.command(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    epilog="`selab COMMAND --help` describes a command, with an example.",
)
@click.version_option(__version__, prog_name="selab")
@click.option(
    "-C",
    "--project",
    type=click.Path(path_type=Path, file_okay=False),
    help="The project's directory, or a directory below it.",
)
@click.option(
    "--vagrant-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="The directory of the Vagrantfile, if it is not the project's.",
)
@click.option(
    "--no-wait",
    is_flag=True,
    help="Do not wait for a VM that another selab uses: report what uses it, and exit with status 3.",
)
@click.option(
    "--trust-vagrantfile",
    is_flag=True,
    help="Allow the project's Vagrantfile and box, which Vagrant runs as programs, without asking.",
)
@click.option("-v", "--verbose", is_flag=True, help="Show the log as well; it is always in .selab/selab.log.")
@click.pass_context
def cli(
    ctx: click.Context,
    project: Path | None,
    vagrant_dir: Path | None,
    no_wait: bool,
    trust_vagrantfile: bool,
    verbose: bool,
) -> None:
    """A laboratory for SELinux policy.

    Run a container under a candidate policy in a virtual machine, and see exactly what SELinux denied.

    \b
    Example:  selab init lab
              selab -C lab run apache --setenforce no
    """
    ctx.obj = Context(project, vagrant_dir, verbose, not no_wait, trust_vagrantfile)
    ctx.call_on_close(ctx.obj.close)
