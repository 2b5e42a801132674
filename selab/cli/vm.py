"""`selab vm`: operate the virtual machine by hand."""

from __future__ import annotations

import contextlib
import os
import sys
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import click

from selab.cli.session import Context, pass_context
from selab.errors import InputError
from selab.report.markup import safe

if TYPE_CHECKING:
    from selab.project import Project


def _alone(context: Context, doing: str, project: Project | None = None) -> AbstractContextManager[None]:
    """Lock the VM for this command, so that it does not disturb a run of another selab process."""
    from selab.vm.lock import vm_lock

    return vm_lock(project or context.project, f"selab vm {doing}", context.progress)


def _each(context: Context, matrix: bool) -> list[Project]:
    """Return the projects whose VMs the command is for: this one, or the slots of its matrix that have a
    VM."""
    from selab.matrix.slots import home, with_vm

    return with_vm(home(context.project)) if matrix else [context.project]


@click.group()
@click.option(
    "--slot",
    default="",
    metavar="NAME",
    help="A VM of `selab matrix`, as `selab vm list` names it, instead of the project's own.",
)
@pass_context
def vm(context: Context, slot: str) -> None:
    """Create, stop and inspect the project's virtual machine.

    `selab run` does what it needs by itself. Use these commands for everything else.

    \b
    Example:
      selab vm up
      selab vm ssh -- docker ps
    """
    context.slot = slot


@vm.command("list")
@pass_context
def list_(context: Context) -> None:
    """List the VMs of `selab matrix` with their state.

    \b
    Example:
      selab vm list
    """
    from selab.matrix.slots import home, slot_project, slots
    from selab.vm.select import machine_of

    for slot in slots(home(context.project)):
        context.out.print(safe(f"{slot} {machine_of(slot_project(context.project, slot)).status()}"))


@vm.command()
@click.option(
    "--prepare",
    is_flag=True,
    help="Check again what the guest lacks, and install it; also on an existing host (`box: host`).",
)
@pass_context
def up(context: Context, prepare: bool) -> None:
    """Create the VM if there is none, start it if it is off, and prepare it.

    \b
    Example:
      selab vm up
    """
    machine = context.machine
    with _alone(context, "up"), context.progress.step("Making sure that the VM is up"):
        if prepare:
            machine.prepare(context.progress)
        machine.ensure(context.progress).close()
    context.out.print(safe(f"running {machine.location()}"))


@vm.command()
@pass_context
def status(context: Context) -> None:
    """Print the state of the VM in one word. `running` means that it answers.

    \b
    Example:
      selab vm status
    """
    from selab.vm.network import Reach, describe
    from selab.vm.select import machine_of

    machine = machine_of(context.project)
    with context.progress.step("Checking the state of the VM"):
        state = machine.status()
    if state == "running" and machine.network() not in ("", Reach.CLOSED):
        context.progress.note(describe(Reach(machine.network())))
    context.out.print(safe(state))


@vm.command()
@click.argument("reach", type=click.Choice(["open", "closed"]), required=False)
@pass_context
def network(context: Context, reach: str | None) -> None:
    """Open or close the VM's network, or print what the guest reaches.

    The network is closed, and selab opens it while it downloads packages or images. If it is open, the guest
    reaches what this machine reaches, and its services on 127.0.0.1. It stays open until you close it.

    \b
    Example:
      selab vm network
      selab vm network open
    """
    from selab.vm.network import DETAILS, Reach

    machine = context.machine
    if reach:
        with _alone(context, f"network {reach}"), context.progress.step("Changing the VM's network"):
            machine.set_network(reach, context.progress)
    if not machine.network():
        raise InputError(
            "selab does not know the network of an existing host.",
            "`box: host` names a machine that selab does not manage.",
        )
    context.out.print(safe(f"{machine.network()}: {DETAILS[Reach(machine.network())]}"))


@vm.command()
@pass_context
def suspend(context: Context) -> None:
    """Suspend the VM. The next run resumes it in seconds.

    \b
    Example:
      selab vm suspend
    """
    machine = context.machine
    with _alone(context, "suspend"), context.progress.step("Suspending the VM"):
        machine.suspend(context.progress)


@vm.command()
@click.option("--matrix", is_flag=True, help="All VMs of `selab matrix` instead.")
@pass_context
def halt(context: Context, matrix: bool) -> None:
    """Shut the VM down.

    \b
    Example:
      selab vm halt
      selab vm halt --matrix
    """
    from selab.vm.select import machine_of

    for project in _each(context, matrix):
        with (
            _alone(context, "halt", project),
            context.progress.step(f"Shutting the VM{_of(project, matrix)} down"),
        ):
            machine_of(project).halt(context.progress)


@vm.command()
@pass_context
def reset(context: Context) -> None:
    """Reset the VM as a power cycle does (libvirt). This restores the base policy, whatever was loaded.

    \b
    Example:
      selab vm reset
    """
    machine = context.machine
    with _alone(context, "reset"), context.progress.step("Resetting the VM"):
        machine.reset()
        machine.wait().close()


@vm.command()
@pass_context
def rescue(context: Context) -> None:
    """Restore the base policy if a candidate locks logins out: by SSH, through the serial console, or with a
    reset.

    `selab run` does this by itself. If a new login works and no run left anything behind, nothing is done.

    \b
    Example:
      selab vm rescue
    """
    machine = context.machine
    with _alone(context, "rescue"), context.progress.step("Checking whether the guest responds"):
        action = machine.rescue(context.progress)
    context.out.print(action or "Nothing is wrong: a new login works, and the guest is in its own mode.")


@vm.command()
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--matrix", is_flag=True, help="All VMs of `selab matrix` instead.")
@pass_context
def destroy(context: Context, yes: bool, matrix: bool) -> None:
    """Remove the VM with everything in it. The box remains, so a new VM needs no download.

    \b
    Example:
      selab vm destroy --yes
      selab vm destroy --matrix
    """
    from selab.vm.select import machine_of

    projects = _each(context, matrix)
    if projects and not yes:
        which = f"{len(projects)} VMs of the matrix" if matrix else "VM"
        click.confirm(
            f"Remove the {which} of {context.project.root} with everything in it?", abort=True, err=True
        )
    for project in projects:
        with (
            _alone(context, "destroy", project),
            context.progress.step(f"Removing the VM{_of(project, matrix)}"),
        ):
            machine_of(project).destroy(context.progress)


def _of(project: Project, matrix: bool) -> str:
    return f" {project.root.name}" if matrix else ""


@vm.command(context_settings={"ignore_unknown_options": True})
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@pass_context
def ssh(context: Context, command: tuple[str, ...]) -> int:
    """Open a shell in the VM, or run COMMAND there as root and exit with its status.

    One word is a line of the shell, as for ssh. Several words are a program and its arguments as they are.

    \b
    Example:
      selab vm ssh
      selab vm ssh -- ausearch -m avc -ts recent --input-logs
      selab vm ssh 'semodule -l | wc -l'
    """
    machine = context.machine
    if not command:
        machine.shell()
        return 0
    words = ("sh", "-c", *command) if len(command) == 1 else command
    with contextlib.closing(machine.connect()) as guest:
        done = guest.run(words, input=b"" if sys.stdin.isatty() else sys.stdin.buffer.read(), timeout=3600)
    sys.stdout.buffer.write(done.stdout)
    sys.stderr.buffer.write(done.stderr)
    return done.returncode if done.returncode >= 0 else 255


@vm.command()
@pass_context
def console(context: Context) -> None:
    """Attach to the serial console of the VM (libvirt); Ctrl-] detaches.

    \b
    Example:
      selab vm console
    """
    command = context.machine.console_command()
    os.execv(command[0], command)
