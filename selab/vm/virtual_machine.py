"""The project's VM: selab creates it if there is none, starts it if it is off, and connects to it."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from selab.errors import SelabError, Unreachable
from selab.guest import Guest, script_argv
from selab.host.private import write_private
from selab.machine import VagrantParameters
from selab.progress import Progress
from selab.project import Project
from selab.vm import boxes, consent, console, keys, libvirt, provision, rescue, vagrantfile
from selab.vm.first_boot import first_alone
from selab.vm.host_keys import pin_text
from selab.vm.network import Network, Reach
from selab.vm.openssh import interactive
from selab.vm.provider import default_provider
from selab.vm.ssh import SshGuest
from selab.vm.ssh_login import LOGIN_TIMEOUT
from selab.vm.ssh_port import free_port
from selab.vm.state import Remembered, State
from selab.vm.vagrant import Vagrant

log = logging.getLogger("selab")

ANSWER_LIMIT = 240.0
"""Seconds until a running VM must answer: an emulated boot takes 60 to 70 on a 2-core machine, and a slower
host gets three times that."""
PATIENCE = 15.0
"""Seconds until selab checks on the serial console why a running VM that answered before no longer
answers."""
RETRY = 0.5
"""Seconds between two attempts to connect: QEMU accepts and closes connections until the guest's sshd
listens."""
HOST_KEY = "/etc/ssh/ssh_host_ed25519_key.pub"

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
        self.vagrant = Vagrant(
            project.vagrant_dir,
            self.files.parameters,
            self.files.vagrant_log,
            functools.partial(consent.require, project),
        )

    def ensure(self, progress: Progress) -> SshGuest:
        """Return a connection to the VM, which is up and provisioned. If it is up already, no process is
        started."""
        guest = self._connect_as_remembered()
        if guest is None:
            with progress.step("Starting the VM"):
                guest = self._bring_up(progress)
        guest = self._secured(guest, progress)
        if not provision.is_ready(guest):
            with progress.step("Preparing the guest"):
                guest = self._with_own_key(guest, progress)
                self.files.keep_applied(provision.provision(guest, progress, self.online))
        self._own_password(guest)
        return self._as_root(guest)

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
        guest = self._connect_as_remembered()
        if guest is None:
            return (
                self.vagrant.state() if (self.project.vagrant_dir / "Vagrantfile").exists() else "not_created"
            )
        guest.close()
        return "running"

    def connect(self, limit: float = LOGIN_TIMEOUT) -> SshGuest:
        """Connect to the VM at its last address; start nothing. Raises Unreachable if a step takes more than
        `limit` seconds."""
        address = self.files.address()
        if address is None:
            raise Unreachable("There is no VM yet.", hint="Create one with `selab vm up`.")
        return SshGuest.connect(address, limit=limit)

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
            self._readopt()
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
            return self._await(recorder)

    # --- bring the VM up, by state

    def _bring_up(self, progress: Progress) -> SshGuest:
        """Bring the VM up from its present state.

        No state makes selab destroy a VM that it can log in to.
        """
        vagrantfile.place(self.project, progress)
        self._daemon()
        state = self.vagrant.state()
        if state == "not_created" and self._readopt():
            progress.note("Vagrant had lost its record of the VM; selab restored it")
            state = self.vagrant.state()
        log.info("Vagrant reports the state %s", state)
        if state == "not_created":
            return self._create(progress)
        self._restore_parameters(progress)
        if state in SUSPENDED:
            progress.note(f"the VM is {state}: resuming it")
            return self._starting(lambda: self.vagrant.resume(progress))
        if state in OFF:
            progress.note(f"the VM is off ({state}): starting it")
            self._move_port(progress)
            return self._starting(lambda: self.vagrant.up(progress))
        if state == "running" or (state == "inaccessible" and self._provider() == "libvirt"):
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
        provider = self._provider()
        box = ""
        ours = vagrantfile.is_ours(self.project)
        if ours:
            choice = boxes.choose(self.project, provider, progress)
            box = choice.name
            self.files.keep_vagrant_parameters(
                vagrantfile.parameters(choice, provider, self.files.name, self.project.config.vm, progress)
            )
        self.files.known_hosts.unlink(missing_ok=True)
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
                raise _with_console(error, recorder, self.files.directory) from error
            self._remember(anew)
            return self._await(recorder)

    def _found_running(self, progress: Progress) -> SshGuest:
        """Return the guest of a VM that runs but did not answer: it boots, a policy locks SSH out, or it is
        unresponsive."""
        known = self.files.known_hosts.exists()
        self._remember(anew=True)
        if known and self.files.domain:
            with contextlib.suppress(Unreachable):
                return self._await(console.Recorder(), PATIENCE)
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

    def _with_own_key(self, guest: SshGuest, progress: Progress) -> SshGuest:
        """Return the guest, reached with a key of its own. It may still accept Vagrant's public key pair
        (`insert_key = false`)."""
        if not keys.is_well_known(self.files.key):
            return guest
        progress.note("replacing Vagrant's well-known key with a new one")
        private, public = keys.new_key()
        guest.run(script_argv("vm/add-key"), input=public.encode() + b"\n").expect(
            "The VM's own key could not be set."
        )
        guest.close()
        self.files.replace_key(private, self._provider())
        return self.connect()

    def _own_password(self, guest: SshGuest) -> None:
        """Give root a random password for the serial console and record it, once per VM."""
        if not self.files.password():
            password = secrets.token_urlsafe(24)
            done = guest.run(("chpasswd",), input=f"root:{password}\n".encode())
            done.expect("The password of the serial console could not be set.")
            self.files.keep_password(password)

    def _await(self, recorder: console.Recorder, limit: float = 0.0) -> SshGuest:
        limit = limit or ANSWER_LIMIT
        address = self.files.address()
        if address is None:
            raise Unreachable("The VM's address is unknown.", f"{self.files.directory} has no record of it.")
        deadline = time.monotonic() + limit
        while True:
            try:
                return SshGuest.connect(address, first_contact=True, limit=min(limit, LOGIN_TIMEOUT))
            except Unreachable as error:
                if time.monotonic() > deadline:
                    late = Unreachable(
                        f"The VM runs but did not answer for {limit:g} s.",
                        error.detail,
                        "See its serial console: `selab vm console`.",
                    )
                    raise _with_console(late, recorder, self.files.directory) from error
            time.sleep(RETRY)

    def _as_root(self, guest: SshGuest) -> SshGuest:
        """Return the guest with a login as root, which needs no sudo, and record it. If root may not log in,
        return `guest`."""
        known = self.files.remembered()
        if known is None or known.user == "root":
            return guest
        try:
            root = SshGuest.connect(dataclasses.replace(guest.address, user="root"))
        except Unreachable as error:
            log.info("no login as root: %s", error)
            return guest
        guest.close()
        self.files.remember(dataclasses.replace(known, user="root"))
        return root

    def _connect_as_remembered(self) -> SshGuest | None:
        address = self.files.address()
        if address is None or not self.files.known_hosts.exists():
            return None
        try:
            return SshGuest.connect(address, alive=self._runs)
        except Unreachable as error:
            log.info("the last address does not answer: %s", error)
            return None

    def _runs(self) -> bool:
        """Return whether a silent guest may still answer. QEMU accepts connections for a paused guest too."""
        return self._provider() != "libvirt" or libvirt.domain_state(self.files.domain) == "running"

    def _remember(self, anew: bool) -> None:
        """Record how to reach the VM. The host key comes from the guest agent if it answers, because that
        needs no network."""
        config = self.vagrant.ssh_config()
        provider = self._provider()
        domain = self.files.vagrants_domain if provider == "libvirt" else ""
        login = self.files.keep_key(config.key)
        known = self.files.remembered()
        same = known is not None and known.domain == domain and not anew
        user = known.user if known and same else config.user
        # The links survive a restart, and with them the user's decision to open the network.
        opened = known is not None and known.domain == domain and known.network == Reach.OPEN
        network = Reach.OPEN if opened else Reach.UNKNOWN
        self.files.remember(
            Remembered(config.host, config.port, user, str(login), domain, provider, network.value)
        )
        if domain and not self.files.known_hosts.exists():
            public_key = libvirt.agent_read(domain, HOST_KEY)
            key = public_key.decode("ascii", "replace") if public_key else self._key_on_console(domain)
            if key:
                pin_text(self.files.known_hosts, key)

    def _key_on_console(self, domain: str) -> str:
        """Read the guest's host key as root on the serial console. Return "" if that fails; the first contact
        then pins the key."""
        try:
            with console.Console(domain) as shell:
                shell.login(self.files.password() or rescue.FIRST_PASSWORD)
                code, output = shell.run(f"cat {HOST_KEY}")
            return output.strip() if code == 0 and output.startswith("ssh-") else ""
        except Unreachable as error:
            log.info("the host key is pinned at the first contact over the network: %s", error)
            return ""

    def _restore_parameters(self, progress: Progress) -> None:
        """Restore Vagrant's parameters, or the kernel of the VM's box, if they were removed."""
        parameters = self.files.vagrant_parameters()
        if not vagrantfile.is_ours(self.project) or (parameters and vagrantfile.has_kernel(parameters)):
            return
        provider = self._provider()
        progress.note(
            "the VM's box was removed"
            if parameters
            else "Vagrant's parameters for the VM were removed: writing them again"
        )
        box = boxes.choose(self.project, provider, progress)
        if parameters is None:
            parameters = vagrantfile.parameters(
                box, provider, self.files.name, self.project.config.vm, progress
            )
            port = libvirt.forwarded_port(self.files.domain) if provider == "libvirt" else 0
            parameters = dataclasses.replace(parameters, port=port or parameters.port)
            self.files.keep_vagrant_parameters(parameters)
        if not vagrantfile.has_kernel(parameters):
            hint = "`selab vm destroy` removes the VM, and the next run creates a new one."
            raise SelabError(
                "The VM cannot be started: its kernel was removed together with its box.",
                parameters.kernel or "",
                hint,
            )

    def _move_port(self, progress: Progress) -> None:
        """Give the VM, which is off, another SSH port if another process uses its own."""
        parameters = self.files.vagrant_parameters()
        if parameters is None or (old := parameters.port) is None:
            return
        new = free_port(self.files.name, old)
        if new == old:
            return
        progress.note(f"another process uses port {old}: SSH now uses port {new}")
        if self._provider() == "libvirt":
            libvirt.move_forward(self.files.domain, old, new)
        self.files.keep_vagrant_parameters(dataclasses.replace(parameters, port=new))

    def _readopt(self) -> bool:
        """Restore Vagrant's record of the VM if libvirt still has the VM. Return whether it was restored."""
        uuid = libvirt.domain_uuid(self.files.domain_name) if self._provider() == "libvirt" else ""
        if not uuid or not self.files.key.is_file():
            return False
        self.files.adopt(uuid)
        return True

    def _provider(self) -> str:
        parameters = self.files.vagrant_parameters()
        provider = (parameters and parameters.provider) or self.project.config.vm.provider
        return default_provider() if provider == "auto" else provider

    def _daemon(self) -> None:
        consent.require(self.project)  # each command of Vagrant requires it too, but by then a daemon runs
        if self._provider() == "libvirt":
            libvirt.ensure()


def _with_console(error: SelabError, recorder: console.Recorder, directory: Path) -> SelabError:
    """Return `error` with the console's last line and the name of the file that keeps more of them."""
    lines = recorder.tail()
    if not lines:
        return error
    path = directory / "console.log"
    write_private(path, ("\n".join(recorder.tail(400)) + "\n").encode(errors="backslashreplace"))
    return type(error)(
        error.what,
        f"{error.detail}; the console's last line: {lines[-1][:120]}",
        f"{error.hint} More of it is in {path}.".strip(),
    )
