"""The project's VM: made if there is none, started if it is off, and otherwise only connected to."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from selab.errors import SelabError, Unreachable
from selab.guest import Guest
from selab.progress import Progress
from selab.project import Project
from selab.vm import boxes, console, keys, libvirt, provision, rescue, vagrantfile
from selab.vm.first_boot import first_alone
from selab.vm.provider import default_provider
from selab.vm.ssh import LOGIN_TIMEOUT, SshGuest, interactive, pin_text
from selab.vm.ssh_port import free_port
from selab.vm.state import Remembered, State
from selab.vm.vagrant import Vagrant

log = logging.getLogger("selab")

ANSWER_LIMIT = 240.0
"""Seconds until a VM that runs must answer: an emulated boot takes 60 to 70 here; a slower host gets three times that."""
PATIENCE = 15.0
"""Seconds that a VM which runs, and answered once, is given before the serial console is asked what is wrong."""
RETRY = 0.5
"""Seconds between two tries to connect: QEMU accepts at once and closes again until the guest's sshd is there."""
ADD_KEY = """
key=$(cat)
for user in root "${SUDO_USER:-vagrant}"; do
  home=$(getent passwd "$user" | cut -d: -f6); [ -n "$home" ] || continue
  umask 077; mkdir -p "$home/.ssh"; echo "$key" >>"$home/.ssh/authorized_keys"; chown -R "$user:" "$home/.ssh"
done
"""
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
        self.vagrant = Vagrant(project.vagrant_dir, self.files.parameters, self.files.vagrant_log)

    def ensure(self, progress: Progress) -> SshGuest:
        """A connection to the VM, up and provisioned. Where it is up already, no other process is started for that."""
        guest = self._connect_as_remembered()
        if guest is None:
            with progress.step("Starting the VM"):
                guest = self._bring_up(progress)
        if not provision.is_ready(guest):
            with progress.step("Preparing the guest"):
                guest = self._with_own_key(guest, progress)
                self.files.keep_applied(provision.provision(guest, progress))
        self._own_password(guest)
        return self._as_root(guest)

    def prepare(self, progress: Progress) -> list[str]:
        """Go through the steps of the provisioning again, and do those whose result somebody has taken away; their names."""
        with self.ensure(progress) as guest, progress.step("Preparing the guest"):
            done = provision.provision(guest, progress)
        self.files.keep_applied(done)
        return done

    def ensure_runtime(self, guest: Guest, runtime: str, progress: Progress) -> None:
        """Have the container runtime `runtime` in the guest, which lacks it."""
        steps = provision.left_to_do(guest, provision.runtime_steps(provision.family_of(guest), runtime))
        provision.apply(guest, steps, progress)
        self.files.keep_applied([step.name for step in steps])

    def status(self) -> str:
        """`running` where the guest answers, else Vagrant's word for its state."""
        guest = self._connect_as_remembered()
        if guest is None:
            return (
                self.vagrant.state() if (self.project.vagrant_dir / "Vagrantfile").exists() else "not_created"
            )
        guest.close()
        return "running"

    def connect(self, limit: float = LOGIN_TIMEOUT) -> SshGuest:
        """A connection to the VM as it was reached last; starts nothing. Raises Unreachable where a step takes over `limit` seconds."""
        address = self.files.address()
        if address is None:
            raise Unreachable("There is no VM yet.", hint="`selab vm up` makes one.")
        return SshGuest.connect(address, limit=limit)

    def location(self) -> str:
        """Return USER@HOST:PORT of the last connection, or "" if there was none."""
        return str(self.files.address() or "")

    def shell(self) -> None:
        """An interactive shell in the guest, until the user leaves it."""
        with self.connect() as guest:
            address = guest.address
        if shutil.which("ssh") is None:
            raise SelabError(
                "There is no ssh client here.",
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
        """Remove the VM and everything that is remembered of it; its box stays."""
        self._daemon()
        if self.vagrant.state() == "not_created":
            self._readopt()
        self.vagrant.destroy(progress)
        self.files.forget()

    def console_command(self) -> list[str]:
        """The command that attaches to the serial console. Raises SelabError where the VM has none that can be reached."""
        program, domain = shutil.which("virsh"), self.files.domain
        if program is None or not domain:
            raise SelabError("Only a VM of libvirt has a console here.", hint="Use `selab vm ssh`.")
        return [program, "-c", libvirt.uri(), "console", "--force", domain]

    def vagrant_parameters(self) -> dict[str, Any]:
        """What Vagrant was told at the VM's creation."""
        return self.files.vagrant_parameters()

    def applied(self) -> list[str]:
        """The steps of the provisioning that selab had to do."""
        return self.files.applied()

    def reset(self) -> None:
        """Reboot the VM as if its power was cut: what helps when nothing in it obeys any more. libvirt only."""
        domain = self.files.domain
        done = libvirt.virsh("reset", domain)
        if done.returncode:
            raise SelabError(
                "The VM could not be reset.",
                f"`virsh reset {domain}`: {done.stderr.strip()}",
                "Try `selab vm halt`.",
            )

    def rescue(self, progress: Progress) -> str:
        """See whether a new login works and the guest is in order, and where not, give it its base policy back: by SSH, through the serial
        console, or by a reset. What was done, or nothing where nothing was wrong. Raises Unreachable where nothing helps."""
        if self.files.domain and libvirt.domain_state(self.files.domain) not in ("running", ""):
            return ""  # somebody has stopped it: no policy can
        return rescue.rescue(
            rescue.Ways(self._new_login, self._rebooted, self.files.domain, self.files.password()), progress
        )

    def try_login(self) -> None:
        """Log in anew, as the next selab would, and run something. Raises SelabError where that does not work."""
        with self._new_login() as guest:
            guest.run(("true",), timeout=rescue.CHECK_LIMIT).expect("A new login can run nothing.")

    def _new_login(self) -> SshGuest:
        return self.connect(rescue.LOGIN_LIMIT)

    def wait(self) -> SshGuest:
        """A connection to a VM that is on its way up. Raises SelabError with what the console shows when it does not come."""
        with console.recording(self.files.domain) as recorder:
            return self._await(recorder)

    # --- the states ---------------------------------------------------------------------------------------------------------------

    def _bring_up(self, progress: Progress) -> SshGuest:
        """Every state has one answer; none of them is to destroy."""
        vagrantfile.place(self.project, progress)
        self._daemon()
        state = self.vagrant.state()
        if state == "not_created" and self._readopt():
            progress.note("Vagrant had forgotten the VM; told it again")
            state = self.vagrant.state()
        log.info("Vagrant says: %s", state)
        if state == "not_created":
            return self._create(progress)
        self._tell_again(progress)
        if state in SUSPENDED:
            progress.note(f"it is {state}: resuming it")
            return self._starting(lambda: self.vagrant.resume(progress))
        if state in OFF:
            progress.note(f"it is off ({state}): starting it")
            self._move_port(progress)
            return self._starting(lambda: self.vagrant.up(progress))
        if state == "running" or (state == "inaccessible" and self._provider() == "libvirt"):
            progress.note("it runs; waiting for it to answer")
            return self._found_running(progress)
        if state in BUSY:
            raise SelabError(
                "The VM is busy.",
                f"Vagrant says: {state}",
                "Another process is working on it; wait for that, then run again.",
            )
        raise SelabError(
            "The VM is in a state that selab will not touch.",
            f"Vagrant says: {state}",
            "See `vagrant status`; `selab vm destroy` makes room for a new one.",
        )

    def _create(self, progress: Progress) -> SshGuest:
        provider = self._provider()
        ours = vagrantfile.is_ours(self.project)
        if ours:
            box = boxes.choose(self.project, provider, progress)
            self.files.keep_vagrant_parameters(
                vagrantfile.parameters(box, provider, self.files.name, self.project.config.vm, progress)
            )
        self.files.known_hosts.unlink(missing_ok=True)
        if provider == "libvirt" and libvirt.has_disk(self.files.domain_name):
            progress.note("somebody has removed the VM and left its disk: removing that as well")
            self.vagrant.destroy(progress)
        try:
            with first_alone(
                str(self.files.vagrant_parameters().get("box", "")) if ours else "", provider, progress
            ):
                return self._starting(lambda: self.vagrant.up(progress, provider if ours else ""), anew=True)
        except SelabError:
            # Half a VM is worth nothing, and it is ours: the state was not_created a moment ago.
            progress.note("removing what was made of the VM")
            self.vagrant.destroy(progress)
            raise

    def _starting(self, start: Callable[[], None], *, anew: bool = False) -> SshGuest:
        """The guest after `start`; `anew` where the login that is remembered may be what does not work."""
        with console.recording(self.files.domain) as recorder:
            try:
                start()
            except SelabError as error:
                raise _with_console(error, recorder, self.files.directory) from error
            self._remember(anew)
            return self._await(recorder)

    def _found_running(self, progress: Progress) -> SshGuest:
        """The guest of a VM that runs and did not answer: it boots, or a policy has locked SSH out, or nothing in it obeys any more."""
        known = self.files.known_hosts.exists()
        self._remember(anew=True)
        if known and self.files.domain:
            with contextlib.suppress(Unreachable):
                return self._await(console.Recorder(), PATIENCE)
            try:
                rescue.by_console(self.files.domain, self.files.password())
                progress.note(
                    "it had locked SSH out: the base policy was given back through the serial console"
                )
            except Unreachable as error:
                log.info("no way in by the console: %s", error)
        try:
            return self.wait()
        except Unreachable as error:
            if not known:
                raise
            progress.note("it does not obey any more: resetting it")
            try:
                return self._rebooted()
            except SelabError as again:
                raise error from again

    def _rebooted(self) -> SshGuest:
        self.reset()
        return self.wait()

    def _with_own_key(self, guest: SshGuest, progress: Progress) -> SshGuest:
        """The same guest by a key that nobody else has, where it was reached by Vagrant's well-known one (`insert_key = false`)."""
        if not keys.is_well_known(self.files.key):
            return guest
        progress.note("a key of its own, instead of Vagrant's well-known one")
        private, public = keys.new_key()
        guest.run(("sh", "-c", ADD_KEY), input=public.encode() + b"\n").expect(
            "The VM's own key could not be set."
        )
        guest.close()
        self.files.replace_key(private, self._provider())
        return self.connect()

    def _own_password(self, guest: SshGuest) -> None:
        """Give root a random password, for the serial console alone, and keep it; once per VM."""
        if not self.files.password():
            password = secrets.token_urlsafe(24)
            done = guest.run(("chpasswd",), input=f"root:{password}\n".encode())
            done.expect("The password of the serial console could not be set.")
            self.files.keep_password(password)

    def _await(self, recorder: console.Recorder, limit: float = 0.0) -> SshGuest:
        limit = limit or ANSWER_LIMIT
        address = self.files.address()
        if address is None:
            raise Unreachable("It is not known how to reach the VM.", str(self.files.directory))
        deadline = time.monotonic() + limit
        while True:
            try:
                return SshGuest.connect(address, first_contact=True, limit=min(limit, LOGIN_TIMEOUT))
            except Unreachable as error:
                if time.monotonic() > deadline:
                    late = Unreachable(
                        f"The VM runs but did not answer for {limit:g} s.",
                        error.detail,
                        "`selab vm console` shows it.",
                    )
                    raise _with_console(late, recorder, self.files.directory) from error
            time.sleep(RETRY)

    def _as_root(self, guest: SshGuest) -> SshGuest:
        """The same guest by a login as root, which saves every command its sudo; remembered. Where root may not log in, `guest`."""
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
            log.info("not reached as remembered: %s", error)
            return None

    def _runs(self) -> bool:
        """Whether a guest that stays silent can be expected to answer: QEMU accepts connections for one that is paused, too."""
        return self._provider() != "libvirt" or libvirt.domain_state(self.files.domain) == "running"

    def _remember(self, anew: bool) -> None:
        """Write down how the VM is reached, with its host key from the guest agent, which needs no network, where that can tell it."""
        config = self.vagrant.ssh_config()
        provider = self._provider()
        domain = self.files.domain if provider == "libvirt" else ""
        login = self.files.keep_key(config.key)
        known = self.files.remembered()
        user = known.user if known and known.domain == domain and not anew else config.user
        self.files.remember(Remembered(config.host, config.port, user, str(login), domain, provider))
        if domain and not self.files.known_hosts.exists():
            told = libvirt.agent_read(domain, HOST_KEY)
            key = told.decode("ascii", "replace") if told else self._key_on_console(domain)
            if key:
                pin_text(self.files.known_hosts, key)

    def _key_on_console(self, domain: str) -> str:
        """The guest's host key as root reads it on the serial console, or nothing: then the one of the first contact counts."""
        try:
            with console.Console(domain) as shell:
                shell.login(self.files.password() or rescue.FIRST_PASSWORD)
                code, said = shell.run(f"cat {HOST_KEY}")
            return said.strip() if code == 0 and said.startswith("ssh-") else ""
        except Unreachable as error:
            log.info("the host key is taken from the network, at the first contact: %s", error)
            return ""

    def _tell_again(self, progress: Progress) -> None:
        """Where what Vagrant was told of the VM, or the kernel in its box, was removed: the same once more."""
        told = self.files.vagrant_parameters()
        if not vagrantfile.is_ours(self.project) or (told and vagrantfile.has_kernel(told)):
            return
        provider = self._provider()
        progress.note(
            "the VM's box was removed"
            if told
            else "what Vagrant was told of the VM was removed: telling it again"
        )
        box = boxes.choose(self.project, provider, progress)
        if not told:
            told = vagrantfile.parameters(box, provider, self.files.name, self.project.config.vm, progress)
            port = libvirt.forwarded_port(self.files.domain) if provider == "libvirt" else 0
            self.files.keep_vagrant_parameters({**told, "port": port or told["port"]})
        if not vagrantfile.has_kernel(told):
            hint = "`selab vm destroy` removes it, and the next run makes a new one."
            raise SelabError(
                "The VM cannot be started: its kernel went with its box, which is made otherwise by now.",
                told["kernel"],
                hint,
            )

    def _move_port(self, progress: Progress) -> None:
        """Give the VM, which is off, another SSH port where somebody took its own meanwhile."""
        told = self.files.vagrant_parameters()
        old = told.get("port")
        if not isinstance(old, int) or (new := free_port(self.files.name, old)) == old:
            return
        progress.note(f"port {old} is taken by somebody else: SSH is on {new} now")
        if self._provider() == "libvirt":
            libvirt.move_forward(self.files.domain, old, new)
        self.files.keep_vagrant_parameters({**told, "port": new})

    def _readopt(self) -> bool:
        """Whether libvirt has our VM although Vagrant does not know it; then Vagrant is told of it again."""
        uuid = libvirt.domain_uuid(self.files.domain_name) if self._provider() == "libvirt" else ""
        if not uuid or not self.files.key.is_file():
            return False
        self.files.adopt(uuid)
        return True

    def _provider(self) -> str:
        wanted = str(self.files.vagrant_parameters().get("provider") or self.project.config.vm.provider)
        return default_provider() if wanted == "auto" else wanted

    def _daemon(self) -> None:
        if self._provider() == "libvirt":
            libvirt.ensure()


def _with_console(error: SelabError, recorder: console.Recorder, directory: Path) -> SelabError:
    """`error` with the console's last line, and a file with more of them."""
    lines = recorder.tail()
    if not lines:
        return error
    path = directory / "console.log"
    path.write_text("\n".join(recorder.tail(400)) + "\n")
    return type(error)(
        error.what,
        f"{error.detail}; the console's last line: {lines[-1][:120]}",
        f"{error.hint} More of it is in {path}.".strip(),
    )
