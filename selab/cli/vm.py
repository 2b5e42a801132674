"""`selab vm`: the virtual machine by hand."""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager

import click

from selab.cli.context import Context, pass_context
from selab.report.markup import safe


def _alone(context: Context, doing: str) -> AbstractContextManager[None]:
    """The VM for this command alone: another selab's run is not taken away from it."""
    from selab.lock import vm_lock

    return vm_lock(context.project, f"selab vm {doing}", context.progress)


@click.group()
def vm() -> None:
    """Make, stop and look into the project's virtual machine.

    `selab run` does what is needed by itself; these are for the rest.

    \b
    Example:
      selab vm up
      selab vm ssh -- docker ps
    """


@vm.command()
@click.option(
    "--prepare", is_flag=True, help="Look again for what the guest lacks, and install it; also on a machine of your own (`box: host`)."
)
@pass_context
def up(context: Context, prepare: bool) -> None:
    """Make the VM if there is none, start it if it is off, and prepare it.

    \b
    Example:
      selab vm up
    """
    from selab.vm.machines import machine_of

    with _alone(context, "up"), context.progress.step("Making sure that the VM is up"):
        machine = machine_of(context.project)
        if prepare:
            machine.prepare(context.progress)
        guest = machine.ensure(context.progress)
        guest.close()
    context.out.print(safe(f"running {guest.address}"))


@vm.command()
@pass_context
def status(context: Context) -> None:
    """Say in one word how the VM is: `running` means that it answers.

    \b
    Example:
      selab vm status
    """
    from selab.vm.machines import machine_of

    with context.progress.step("Asking how the VM is"):
        said = machine_of(context.project).status()
    context.out.print(safe(said))


@vm.command()
@pass_context
def suspend(context: Context) -> None:
    """Freeze the VM as it is; the next run takes it up again in seconds.

    \b
    Example:
      selab vm suspend
    """
    from selab.vm.machines import machine_of

    with _alone(context, "suspend"), context.progress.step("Suspending the VM"):
        machine_of(context.project).suspend(context.progress)


@vm.command()
@pass_context
def halt(context: Context) -> None:
    """Shut the VM down.

    \b
    Example:
      selab vm halt
    """
    from selab.vm.machines import machine_of

    with _alone(context, "halt"), context.progress.step("Shutting the VM down"):
        machine_of(context.project).halt(context.progress)


@vm.command()
@pass_context
def reset(context: Context) -> None:
    """Reboot the VM as if its power was cut (libvirt): the base policy is back, whatever was loaded.

    \b
    Example:
      selab vm reset
    """
    from selab.vm.machines import machine_of

    machine = machine_of(context.project)
    with _alone(context, "reset"), context.progress.step("Resetting the VM"):
        machine.reset()
        machine.wait().close()


@vm.command()
@pass_context
def rescue(context: Context) -> None:
    """Give the guest its base policy back where a candidate locks everybody out: by SSH, the serial console, or a reset.

    `selab run` does so by itself. Does nothing where a new login works and nothing is left of a run.

    \b
    Example:
      selab vm rescue
    """
    from selab.vm.machines import machine_of

    with _alone(context, "rescue"), context.progress.step("Looking whether the guest obeys"):
        said = machine_of(context.project).rescue(context.progress)
    context.out.print(said or "Nothing is wrong: a new login works, and the guest is in its own mode.")


@vm.command()
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@pass_context
def destroy(context: Context, yes: bool) -> None:
    """Remove the VM with everything in it. The box stays, so that a new VM needs no download.

    \b
    Example:
      selab vm destroy --yes
    """
    from selab.vm.machines import machine_of

    if not yes:
        click.confirm(f"Remove the VM of {context.project.root} with everything in it?", abort=True, err=True)
    with _alone(context, "destroy"), context.progress.step("Removing the VM"):
        machine_of(context.project).destroy(context.progress)


@vm.command(context_settings={"ignore_unknown_options": True})
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@pass_context
def ssh(context: Context, command: tuple[str, ...]) -> None:
    """Open a shell in the VM, or run COMMAND there as root and end with its exit code.

    \b
    Example:
      selab vm ssh
      selab vm ssh -- ausearch -m avc -ts recent --input-logs
    """
    from selab.vm.machines import machine_of

    machine = machine_of(context.project)
    if not command:
        return machine.shell()
    with machine.connect() as guest:
        done = guest.run(command, input=b"" if sys.stdin.isatty() else sys.stdin.buffer.read(), timeout=3600)
    sys.stdout.buffer.write(done.stdout)
    sys.stderr.buffer.write(done.stderr)
    sys.exit(done.returncode if done.returncode >= 0 else 255)


@vm.command()
@pass_context
def console(context: Context) -> None:
    """Attach to the serial console of the VM (libvirt); Ctrl-] detaches.

    \b
    Example:
      selab vm console
    """
    from selab.vm.machines import machine_of

    command = machine_of(context.project).console_command()
    os.execv(command[0], command)
