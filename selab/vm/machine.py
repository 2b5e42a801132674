"""The project's VM: made if there is none, started if it is off, and otherwise only connected to."""

from __future__ import annotations

import dataclasses
import importlib.resources
import logging
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from selab.errors import SelabError, Unreachable
from selab.progress import Progress
from selab.project import Project
from selab.vm import boxes, console, kvm, libvirt, provision
from selab.vm.ssh import SshGuest, interactive, pin_text
from selab.vm.state import Remembered, State, free_port
from selab.vm.vagrant import Vagrant

log = logging.getLogger("selab")

ANSWER_LIMIT = 240.0
"""Seconds until a VM that runs must answer: an emulated boot takes 60 to 70 here; a slower host gets three times that."""
RETRY = 0.5
"""Seconds between two tries to connect: QEMU accepts at once and closes again until the guest's sshd is there."""
EMULATED = "mitigations=off tsc=reliable clocksource=tsc"
"""For a kernel on an emulated CPU, which has no side channels to close and a time stamp counter that Linux distrusts without a reason:
the clock it would take instead leaves the emulation for each reading."""
HOST_KEY = "/etc/ssh/ssh_host_ed25519_key.pub"

OFF = {"poweroff", "shutoff", "shut off", "aborted", "stopped", "crashed", "shutdown"}
SUSPENDED = {"saved", "paused", "pmsuspended", "aborted-saved"}
BUSY = {"preparing", "shutting_down", "shutting down", "stopping", "starting", "saving", "restoring"}


class Machine:
    """The VM of `project`."""

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
                provision.provision(guest, progress)
        return self._as_root(guest)

    def status(self) -> str:
        """`running` where the guest answers, else Vagrant's word for its state."""
        guest = self._connect_as_remembered()
        if guest is None:
            return self.vagrant.state() if (self.project.vagrant_dir / "Vagrantfile").exists() else "not_created"
        guest.close()
        return "running"

    def connect(self) -> SshGuest:
        """A connection to the VM as it was reached last; starts nothing. Raises Unreachable."""
        address = self.files.address()
        if address is None:
            raise Unreachable("There is no VM yet.", hint="`selab vm up` makes one.")
        return SshGuest.connect(address)

    def shell(self) -> None:
        """An interactive shell in the guest, until the user leaves it."""
        with self.connect() as guest:
            address = guest.address
        if shutil.which("ssh") is None:
            raise SelabError("There is no ssh client here.", hint="Install openssh-client, or name a command: `selab vm ssh -- id`.")
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

    def reset(self) -> None:
        """Reboot the VM as if its power was cut: what helps when nothing in it obeys any more. libvirt only."""
        domain = self.files.domain
        done = libvirt.virsh("reset", domain)
        if done.returncode:
            raise SelabError("The VM could not be reset.", f"`virsh reset {domain}`: {done.stderr.strip()}", "Try `selab vm halt`.")

    def wait(self) -> SshGuest:
        """A connection to a VM that is on its way up. Raises SelabError with what the console shows when it does not come."""
        with console.recording(self.files.domain) as recorder:
            return self._await(recorder)

    # --- the states ---------------------------------------------------------------------------------------------------------------

    def _bring_up(self, progress: Progress) -> SshGuest:
        """Every state has one answer; none of them is to destroy."""
        self._place_vagrantfile(progress)
        self._daemon()
        state = self.vagrant.state()
        if state == "not_created" and self._readopt():
            progress.note("Vagrant had forgotten the VM; told it again")
            state = self.vagrant.state()
        log.info("Vagrant says: %s", state)
        if state == "not_created":
            return self._create(progress)
        if state in SUSPENDED:
            progress.note(f"it is {state}: resuming it")
            return self._starting(lambda: self.vagrant.resume(progress))
        if state in OFF:
            progress.note(f"it is off ({state}): starting it")
            self._move_port(progress)
            return self._starting(lambda: self.vagrant.up(progress))
        if state == "running" or (state == "inaccessible" and self._provider() == "libvirt"):
            progress.note("it runs; waiting for it to answer")
            return self._starting(lambda: None, anew=True)
        if state in BUSY:
            raise SelabError(
                "The VM is busy.", f"Vagrant says: {state}", "Another process is working on it; wait for that, then run again."
            )
        raise SelabError(
            "The VM is in a state that selab will not touch.",
            f"Vagrant says: {state}",
            "See `vagrant status`; `selab vm destroy` makes room for a new one.",
        )

    def _create(self, progress: Progress) -> SshGuest:
        provider = self._provider()
        ours = self._vagrantfile_is_ours()
        if ours:
            self._tell(boxes.choose(self.project, provider, progress), provider, progress)
        self.files.known_hosts.unlink(missing_ok=True)
        try:
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

    def _await(self, recorder: console.Recorder) -> SshGuest:
        address = self.files.address()
        if address is None:
            raise Unreachable("It is not known how to reach the VM.", str(self.files.directory))
        deadline = time.monotonic() + ANSWER_LIMIT
        while True:
            try:
                return SshGuest.connect(address, first_contact=True)
            except Unreachable as error:
                if time.monotonic() > deadline:
                    late = Unreachable(
                        f"The VM runs but did not answer for {ANSWER_LIMIT:g} s.", error.detail, "`selab vm console` shows it."
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
        key = self.files.keep_key(config.key)
        known = self.files.remembered()
        user = known.user if known and known.domain == domain and not anew else config.user
        self.files.remember(Remembered(config.host, config.port, user, str(key), domain, provider))
        if domain and not self.files.known_hosts.exists():
            told = libvirt.agent_read(domain, HOST_KEY)
            if told:
                pin_text(self.files.known_hosts, told.decode("ascii", "replace"))

    # --- what Vagrant is told -----------------------------------------------------------------------------------------------------

    def _tell(self, box: boxes.Choice, provider: str, progress: Progress) -> None:
        progress.note(f"box: {box.name} ({box.why})")
        accel = kvm.Kvm(True, "")
        if provider == "libvirt":
            accel = kvm.probe(Path(box.kernel) if box.kernel else None)
            progress.note("CPU: KVM" if accel.works else f"CPU: emulated, since {accel.reason}")
        config = self.project.config.vm
        parameters: dict[str, Any] = {
            "name": self.files.name,
            "profile": box.profile,
            "provider": provider,
            "box": box.name,
            "urls": {provider: box.url},
            "checksums": {provider: box.sha256} if box.sha256 else {},
            "cpus": config.cpus,
            "memory": config.memory,
            "port": free_port(),
            "session": os.geteuid() != 0,
            "accel": "kvm" if accel.works else "qemu",
            "cpu_features": box.cpu,
        }
        if box.kernel:
            cmdline = box.cmdline if accel.works else f"{box.cmdline} {EMULATED}"
            parameters |= {"kernel": box.kernel, "initrd": box.initrd, "cmdline": cmdline}
        self.files.tell(parameters)

    def _move_port(self, progress: Progress) -> None:
        """Give the VM, which is off, another SSH port where somebody took its own meanwhile."""
        told = self.files.told()
        old = told.get("port")
        if not isinstance(old, int) or (new := free_port(old)) == old:
            return
        progress.note(f"port {old} is taken by somebody else: SSH is on {new} now")
        if self._provider() == "libvirt":
            libvirt.move_forward(self.files.domain, old, new)
        self.files.tell({**told, "port": new})

    def _readopt(self) -> bool:
        """Whether libvirt has our VM although Vagrant does not know it; then Vagrant is told of it again."""
        uuid = libvirt.domain_uuid(self.files.domain_name) if self._provider() == "libvirt" else ""
        if not uuid or not self.files.key.is_file():
            return False
        self.files.adopt(uuid)
        return True

    def _provider(self) -> str:
        wanted = str(self.files.told().get("provider") or self.project.config.vm.provider)
        if wanted != "auto":
            return wanted
        if shutil.which("virsh") or not shutil.which("VBoxManage"):
            return "libvirt"
        return "virtualbox"

    def _daemon(self) -> None:
        if self._provider() == "libvirt":
            libvirt.ensure_daemon()
            libvirt.ensure_pool()

    def _vagrantfile_is_ours(self) -> bool:
        """A Vagrantfile that reads selab's parameters; any other is the user's own, with a box of its own."""
        return b"SELAB_VM" in (self.project.vagrant_dir / "Vagrantfile").read_bytes()

    def _place_vagrantfile(self, progress: Progress) -> None:
        path = self.project.vagrant_dir / "Vagrantfile"
        if not path.exists():
            path.write_bytes(_shipped_vagrantfile())
            progress.note(f"wrote {path}")


def _shipped_vagrantfile() -> bytes:
    """The Vagrantfile in the wheel, or the checkout's own."""
    packed = importlib.resources.files("selab").joinpath("example", "Vagrantfile")
    if packed.is_file():
        return packed.read_bytes()
    return Path(__file__).parents[2].joinpath("Vagrantfile").read_bytes()


def _with_console(error: SelabError, recorder: console.Recorder, directory: Path) -> SelabError:
    """`error` with the console's last line, and a file with more of them."""
    lines = recorder.tail()
    if not lines:
        return error
    path = directory / "console.log"
    path.write_text("\n".join(recorder.tail(400)) + "\n")
    return type(error)(
        error.what, f"{error.detail}; the console's last line: {lines[-1][:120]}", f"{error.hint} More of it is in {path}.".strip()
    )
