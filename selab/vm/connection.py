"""Connect to the VM: record its address, wait for its guest, and give it a key and a password of its own."""

from __future__ import annotations

import dataclasses
import logging
import secrets
import time

from selab.errors import Unreachable
from selab.guest import script_argv
from selab.progress import Progress
from selab.vm import console, keys, libvirt, rescue
from selab.vm.host_keys import pin_text
from selab.vm.network import Reach
from selab.vm.ssh import SshGuest
from selab.vm.ssh_login import LOGIN_TIMEOUT
from selab.vm.state import Remembered, State
from selab.vm.vagrant import Vagrant
from selab.vm.vagrant_record import VagrantRecord

log = logging.getLogger("selab")

ANSWER_LIMIT = 240.0
"""Seconds until a running VM must answer: an emulated boot takes 60 to 70 on a 2-core machine, and a slower
host gets three times that."""
RETRY = 0.5
"""Seconds between two attempts to connect: QEMU accepts and closes connections until the guest's sshd
listens."""
HOST_KEY = "/etc/ssh/ssh_host_ed25519_key.pub"


class Connection:
    """The login to the VM that `vagrant` manages, whose records are `files` and `record`."""

    def __init__(self, vagrant: Vagrant, files: State, record: VagrantRecord) -> None:
        self._vagrant = vagrant
        self._files = files
        self._record = record

    def connect(self, limit: float = LOGIN_TIMEOUT) -> SshGuest:
        """Connect to the VM at its last address; start nothing. Raises Unreachable if a step takes more than
        `limit` seconds."""
        address = self._files.address()
        if address is None:
            raise Unreachable("There is no VM yet.", hint="Create one with `selab vm up`.")
        return SshGuest.connect(address, limit=limit)

    def with_own_key(self, guest: SshGuest, progress: Progress) -> SshGuest:
        """Return the guest, reached with a key of its own. It may still accept Vagrant's public key pair
        (`insert_key = false`)."""
        if not keys.is_well_known(self._files.key):
            return guest
        progress.note("replacing Vagrant's well-known key with a new one")
        private, public = keys.new_key()
        guest.run(script_argv("vm/add-key"), input=public.encode() + b"\n").expect(
            "The VM's own key could not be set."
        )
        guest.close()
        self._files.replace_key(private, self._record.provider())
        return self.connect()

    def ensure_console_password(self, guest: SshGuest) -> None:
        """Give root a random password for the serial console and record it, once per VM."""
        if not self._files.password():
            password = secrets.token_urlsafe(24)
            done = guest.run(("chpasswd",), input=f"root:{password}\n".encode())
            done.expect("The password of the serial console could not be set.")
            self._files.keep_password(password)

    def wait(self, recorder: console.Recorder, limit: float = 0.0) -> SshGuest:
        """Connect to a VM that boots.

        Raises Unreachable with the last console line if it does not answer within `limit` seconds.
        """
        limit = limit or ANSWER_LIMIT
        address = self._files.address()
        if address is None:
            raise Unreachable("The VM's address is unknown.", f"{self._files.directory} has no record of it.")
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
                    raise console.with_last_line(late, recorder, self._files.directory) from error
            time.sleep(RETRY)

    def as_root(self, guest: SshGuest) -> SshGuest:
        """Return the guest with a login as root, which needs no sudo, and record it. If root may not log in,
        return `guest`."""
        known = self._files.remembered()
        if known is None or known.user == "root":
            return guest
        try:
            root = SshGuest.connect(dataclasses.replace(guest.address, user="root"))
        except Unreachable as error:
            log.info("no login as root: %s", error)
            return guest
        guest.close()
        self._files.remember(dataclasses.replace(known, user="root"))
        return root

    def as_remembered(self) -> SshGuest | None:
        """Connect as the last command did. Return None if there is no record, or no answer."""
        address = self._files.address()
        if address is None or not self._files.known_hosts.exists():
            return None
        try:
            return SshGuest.connect(address, alive=self._runs)
        except Unreachable as error:
            log.info("the last address does not answer: %s", error)
            return None

    def remember(self, anew: bool) -> None:
        """Record how to reach the VM. The host key comes from the guest agent if it answers, because that
        needs no network."""
        config = self._vagrant.ssh_config()
        provider = self._record.provider()
        domain = self._files.vagrants_domain if provider == "libvirt" else ""
        login = self._files.keep_key(config.key)
        known = self._files.remembered()
        same = known is not None and known.domain == domain and not anew
        user = known.user if known and same else config.user
        # The links survive a restart, and with them the user's decision to open the network.
        opened = known is not None and known.domain == domain and known.network == Reach.OPEN
        network = Reach.OPEN if opened else Reach.UNKNOWN
        self._files.remember(
            Remembered(config.host, config.port, user, str(login), domain, provider, network.value)
        )
        if domain and not self._files.known_hosts.exists():
            public_key = libvirt.agent_read(domain, HOST_KEY)
            key = public_key.decode("ascii", "replace") if public_key else self._key_on_console(domain)
            if key:
                pin_text(self._files.known_hosts, key)

    def _runs(self) -> bool:
        """Return whether a silent guest may still answer. QEMU accepts connections for a paused guest too."""
        return self._record.provider() != "libvirt" or libvirt.domain_state(self._files.domain) == "running"

    def _key_on_console(self, domain: str) -> str:
        """Read the guest's host key as root on the serial console. Return "" if that fails; the first contact
        then pins the key."""
        try:
            with console.Console(domain) as shell:
                shell.login(self._files.password() or rescue.FIRST_PASSWORD)
                code, output = shell.run(f"cat {HOST_KEY}")
            return output.strip() if code == 0 and output.startswith("ssh-") else ""
        except Unreachable as error:
            log.info("the host key is pinned at the first contact over the network: %s", error)
            return ""
