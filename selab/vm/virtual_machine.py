"""The project's VM: selab creates it if there is none, starts it if it is off, and connects to it."""

from __future__ import annotations

import contextlib
import logging
import shutil
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager

from selab.errors import SelabError, Unreachable
from selab.guest import Guest
from selab.host.private import remove
from selab.machine import VagrantParameters
from selab.progress import Progress
from selab.project import Project
from selab.vm import boxes, consent, console, libvirt, provision, rescue, vagrantfile
from selab.vm.connection import Connection
from selab.vm.first_boot import first_alone
from selab.vm.network import Network, Reach
from selab.vm.openssh import interactive
from selab.vm.ssh import SshGuest
from selab.vm.ssh_login import LOGIN_TIMEOUT
from selab.vm.state import State
from selab.vm.vagrant import Vagrant
from selab.vm.vagrant_record import VagrantRecord

log = logging.getLogger("selab")

PATIENCE = 15.0
"""Seconds until selab checks on the serial console why a running VM that answered before no longer
answers."""

OFF = {"poweroff", "shutoff", "shut off", "aborted", "stopped", "crashed", "shutdown"}
SUSPENDED = {"saved", "paused", "pmsuspended", "aborted-saved"}
BUSY = {"preparing", "shutting_down", "shutting down", "stopping", "starting", "saving", "restoring"}


class VirtualMachine:
    """The VM of `project`."""

    managed = True

    def __init__(self, project: Project) -> None:
        self.project = project
        self.files = State(project)
        self._network = Network(project, self.files)
        self._record = VagrantRecord(project, self.files)
        self.vagrant = Vagrant(
            project.vagrant_dir,
            self.files.parameters,
            self.files.vagrant_log,
            self._before_vagrant,
        )
        self._connection = Connection(self.vagrant, self.files, self._record)

    def ensure(self, progress: Progress) -> SshGuest:
        """Return a connection to the VM, which is up and provisioned. If it is up already, no process is
        started."""
        guest = self._connection.as_remembered()
        if guest is None:
            with progress.step("Starting the VM"):
                guest = self._bring_up(progress)
        guest = self._secured(guest, progress)
        if not provision.is_ready(guest):
            with progress.step("Preparing the guest"):
                guest = self._connection.with_own_key(guest, progress)
                self.files.keep_applied(provision.provision(guest, progress, self.online))
        self._connection.ensure_console_password(guest)
        return self._connection.as_root(guest)

    def prepare(self, progress: Progress) -> list[str]:
        """Check every provisioning step again and repeat those whose result is missing. Return their
        names."""
        with self.ensure(progress) as guest, progress.step("Preparing the guest"):
            done = provision.provision(guest, progress, self.online)
        self.files.keep_applied(done)
        return done

    def ensure_runtime(self, guest: Guest, runtime: str, progress: Progress) -> None:
        """Install the container runtime `runtime`, which the guest lacks."""
        steps = provision.left_to_do(guest, provision.runtime_steps(provision.family_of(guest), runtime))
        provision.apply(guest, steps, progress, self.online)
        self.files.keep_applied([step.name for step in steps])

    def online(self, guest: Guest, progress: Progress) -> AbstractContextManager[None]:
        """Return a context in which the VM's network is open, for a download into `guest`."""
        return self._network.online(guest, progress)

    def network(self) -> str:
        """Return what the guest reaches, as selab recorded it: a Reach of network.py."""
        return self._network.reach

    def set_network(self, reach: str, progress: Progress) -> None:
        """Open or close the network (`open`, `closed`) until the user changes it again."""
        self.ensure(progress).close()
        self._network.set(Reach(reach), progress)

    def status(self) -> str:
        """Return `running` if the guest answers, else Vagrant's name for its state."""
        guest = self._connection.as_remembered()
        if guest is None:
            return (
                self.vagrant.state() if (self.project.vagrant_dir / "Vagrantfile").exists() else "not_created"
            )
        guest.close()
        return "running"

    def connect(self, limit: float = LOGIN_TIMEOUT) -> SshGuest:
        """Connect to the VM at its last address; start nothing. Raises Unreachable if a step takes more than
        `limit` seconds."""
        return self._connection.connect(limit)

    def location(self) -> str:
        """Return USER@HOST:PORT of the last connection, or "" if there was none."""
        return str(self.files.address() or "")

    def shell(self) -> None:
        """Run an interactive shell in the guest until the user leaves it."""
        with self.connect() as guest:
            address = guest.address
        if shutil.which("ssh") is None:
            raise SelabError(
                "No ssh client is installed.",
                hint="Install openssh-client, or name a command: `selab vm ssh -- id`.",
            )
        subprocess.run(interactive(address))

    def suspend(self, progress: Progress) -> None:
        self._daemon()
        self.vagrant.suspend(progress)

    def halt(self, progress: Progress) -> None:
        self._daemon()
        self.vagrant.halt(progress)

    def destroy(self, progress: Progress) -> None:
        """Remove the VM and everything that selab recorded about it. The box remains."""
        self._daemon()
        if self.vagrant.state() == "not_created":
            self._record.readopt()
        self.vagrant.destroy(progress)
        self.files.forget()

    def console_command(self) -> list[str]:
        """Return the command that attaches to the serial console. Raises SelabError if there is no reachable
        console."""
        program, domain = shutil.which("virsh"), self.files.domain
        if program is None or not domain:
            raise SelabError("Only a libvirt VM has a serial console.", hint="Use `selab vm ssh`.")
        return [program, "-c", libvirt.uri(), "console", "--force", domain]

    def vagrant_parameters(self) -> VagrantParameters | None:
        """Return the parameters that selab passes to Vagrant, or None if the VM has none."""
        return self.files.vagrant_parameters()

    def applied(self) -> list[str]:
        """Return the names of the provisioning steps that selab performed."""
        return self.files.applied()

    def reset(self) -> None:
        """Reset the VM as a power cycle does, for a guest that is unresponsive. libvirt only."""
        domain = self.files.domain
        done = libvirt.virsh("reset", domain)
        if done.returncode:
            raise SelabError(
                "The VM could not be reset.",
                f"`virsh reset {domain}`: {done.stderr.strip()}",
                "Try `selab vm halt`.",
            )

    def rescue(self, progress: Progress) -> str:
        """Check that a new login works and that the guest is in order. If not, restore the base policy.

        selab tries SSH, then the serial console, then a reset. Returns what was done, or "" if nothing was
        wrong. Raises Unreachable if nothing helped.
        """
        if self.files.domain and libvirt.domain_state(self.files.domain) not in ("running", ""):
            return ""  # the VM was stopped from outside: no policy can do that
        return rescue.rescue(
            rescue.Ways(self._new_login, self._rebooted, self.files.domain, self.files.password()), progress
        )

    def try_login(self) -> None:
        """Log in with a new connection, as the next command will, and run a program. Raises SelabError if
        that fails."""
        with self._new_login() as guest:
            guest.run(("true",), timeout=rescue.CHECK_LIMIT).expect("A new login cannot run a command.")

    def _new_login(self) -> SshGuest:
        return self.connect(rescue.LOGIN_LIMIT)

    def wait(self) -> SshGuest:
        """Wait for a VM that boots. Raises SelabError with the last console line if it does not answer in
        time."""
        with console.recording(self.files.domain) as recorder:
            return self._connection.wait(recorder)

    # --- bring the VM up, by state

    def _bring_up(self, progress: Progress) -> SshGuest:
        """Bring the VM up from its present state.

        No state makes selab destroy a VM that it can log in to.
        """
        vagrantfile.place(self.project, progress)
        self._daemon()
        state = self.vagrant.state()
        if state == "not_created" and self._record.readopt():
            progress.note("Vagrant had lost its record of the VM; selab restored it")
            state = self.vagrant.state()
        log.info("Vagrant reports the state %s", state)
        if state == "not_created":
            return self._create(progress)
        self._record.restore_parameters(progress)
        if state in SUSPENDED:
            progress.note(f"the VM is {state}: resuming it")
            return self._starting(lambda: self.vagrant.resume(progress))
        if state in OFF:
            progress.note(f"the VM is off ({state}): starting it")
            self._record.move_port(progress)
            return self._starting(lambda: self.vagrant.up(progress))
        if state == "running" or (state == "inaccessible" and self._record.provider() == "libvirt"):
            progress.note("the VM runs: waiting for it to answer")
            return self._found_running(progress)
        if state in BUSY:
            raise SelabError(
                "The VM is busy.",
                f"Vagrant reports the state '{state}'.",
                "Another process is working on it. Wait for that process, then run again.",
            )
        raise SelabError(
            "The VM is in a state that selab does not change.",
            f"Vagrant reports the state '{state}'.",
            "See `vagrant status`. `selab vm destroy` removes the VM, and the next run creates a new one.",
        )

    def _secured(self, guest: SshGuest, progress: Progress) -> SshGuest:
        """Return the guest, whose network is closed. A VM of an older selab is restarted for that, once."""
        if self._network.secure(progress):
            return guest
        with progress.step("Restarting the VM to close its network, which an older selab left open"):
            guest.close()
            self.vagrant.halt(progress)
            guest = self._bring_up(progress)
        if not self._network.secure(progress):
            guest.close()
            hint = "`selab vm destroy` removes the VM, and the next run creates a new one."
            raise SelabError(libvirt.OPEN_NETWORK, "It is still open after a restart.", hint)
        return guest

    def _create(self, progress: Progress) -> SshGuest:
        provider = self._record.provider()
        box = ""
        ours = vagrantfile.is_ours(self.project)
        if ours:
            choice = boxes.choose(self.project, provider, progress)
            box = choice.name
            self.files.keep_vagrant_parameters(
                vagrantfile.parameters(choice, provider, self.files.name, self.project.config.vm, progress)
            )
        remove(self.files.known_hosts)
        if provider == "libvirt":
            self._remove_remains(progress)
        try:
            with first_alone(box, provider, progress):
                return self._starting(lambda: self.vagrant.up(progress, provider if ours else ""), anew=True)
        except SelabError:
            # An incomplete VM is of no use, and this process created it: the state was not_created a moment
            # ago.
            progress.note("removing the incomplete VM")
            self.vagrant.destroy(progress)
            raise

    def _remove_remains(self, progress: Progress) -> None:
        """Remove what is left of an earlier VM of this project, because a new one gets the same names.

        The name of the domain contains a digest of the project's directory and the user, so that it is no
        other project's. selab has no key for a domain that is left, so it cannot use it.
        """
        if uuid := libvirt.domain_uuid(self.files.domain_name):
            progress.note("the key of the VM was removed, so selab cannot log in to it: replacing the VM")
            self.files.adopt(uuid)
        elif libvirt.has_disk(self.files.domain_name):
            progress.note("the VM was removed and its disk was left: removing the disk as well")
        else:
            return
        self.vagrant.destroy(progress)

    def _starting(self, start: Callable[[], None], *, anew: bool = False) -> SshGuest:
        """Return the guest after `start`. With `anew`, the recorded login is not reused, because it may not
        work."""
        with console.recording(self.files.domain) as recorder:
            try:
                start()
            except SelabError as error:
                raise console.with_last_line(error, recorder, self.files.directory) from error
            self._connection.remember(anew)
            return self._connection.wait(recorder)

    def _found_running(self, progress: Progress) -> SshGuest:
        """Return the guest of a VM that runs but did not answer: it boots, a policy locks SSH out, or it is
        unresponsive."""
        known = self.files.known_hosts.exists()
        self._connection.remember(anew=True)
        if known and self.files.domain:
            with contextlib.suppress(Unreachable):
                return self._connection.wait(console.Recorder(), PATIENCE)
            try:
                rescue.by_console(self.files.domain, self.files.password())
                progress.note(
                    "a policy had locked SSH out: the base policy was restored through the serial console"
                )
            except Unreachable as error:
                log.info("no login on the serial console: %s", error)
        try:
            return self.wait()
        except Unreachable as error:
            if not known:
                raise
            progress.note("the guest is unresponsive: resetting it")
            try:
                return self._rebooted()
            except SelabError as again:
                raise error from again

    def _rebooted(self) -> SshGuest:
        self.reset()
        return self.wait()

    def _before_vagrant(self) -> None:
        """Raise SelabError if the user has not allowed what Vagrant would use. Prepare Vagrant's record."""
        consent.require(self.project)
        self.files.claim_record()
        self._record.require_own_vm()

    def _daemon(self) -> None:
        consent.require(self.project)  # each command of Vagrant requires it too, but by then a daemon runs
        if self._record.provider() == "libvirt":
            libvirt.ensure()
