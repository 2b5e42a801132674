"""An existing machine that selab reaches by SSH.

selab neither starts nor stops it, and installs nothing there unless the user asks for it.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import re
import shutil
import subprocess
from contextlib import AbstractContextManager
from pathlib import Path

import paramiko

from selab.errors import InputError, SelabError, Unreachable
from selab.guest import Guest, script_argv
from selab.machine import VagrantParameters
from selab.progress import Progress
from selab.project import HostConfig, Project
from selab.vm import consent, provision, rescue
from selab.vm.host_keys import known_key, pin, pinned_key
from selab.vm.openssh import interactive
from selab.vm.select import UNREACHABLE
from selab.vm.ssh import SshGuest
from selab.vm.ssh_config import Route, UserConfig
from selab.vm.ssh_login import LOGIN_TIMEOUT, Address

log = logging.getLogger("selab")

USER = "root"
"""Who logs in, unless selab.yaml or the user's ssh configuration names a user."""
NO_GUARD = (
    "There is no guard there, so only a reboot undoes a candidate that locks SSH out. "
    "`selab vm up --prepare` installs one."
)
_UNSAFE = re.compile(r"[^A-Za-z0-9.:_-]")


class ExistingHost:
    """The existing machine that `config` names, for `project`."""

    managed = False

    def __init__(self, project: Project, config: HostConfig) -> None:
        self.project = project
        self.config = config

    @functools.cached_property
    def _route(self) -> Route:
        """The way to the machine: what selab.yaml says counts, then the user's ssh configuration."""
        config = self.config
        return UserConfig().route(config.address, user=config.user, port=config.port, default_user=USER)

    @functools.cached_property
    def address(self) -> Address:
        """Return the address of the machine. The pinned host key belongs to this resolved address."""
        consent.require(self.project)
        target = self._route.target
        keys = (_named_key(self.config.key),) if self.config.key else target.keys
        agent = target.agent and not self.config.key
        if not keys and not _agent_has_keys():
            raise InputError(
                "There is no private key to log in with.",
                "The SSH agent has none, and ~/.ssh has none.",
                "Name one as `key:` in selab.yaml, or as `IdentityFile` in ~/.ssh/config.",
            )
        return Address(
            host=target.host,
            port=target.port,
            user=target.user,
            key=keys[0] if keys else None,
            known_hosts=self.project.state / f"host-{_UNSAFE.sub('_', target.host)}-{target.port}",
            more_keys=keys[1:],
            agent=agent,
            jumps=self._route.jumps,
            proxy_command=self._route.proxy_command,
        )

    @property
    def _user_known_hosts(self) -> tuple[Path, ...]:
        if self.config.known_hosts:
            return (Path(self.config.known_hosts).expanduser(),)
        return self._route.target.known_hosts

    def ensure(self, progress: Progress) -> SshGuest:
        """Return a connection to the machine, which has what a run needs.

        Raises SelabError that names what the machine lacks, and the packages that provide it.
        """
        guest = self._login(progress)
        try:
            self._check(guest, progress)
        except BaseException:
            guest.close()
            raise
        return guest

    def prepare(self, progress: Progress) -> list[str]:
        """Install what a run needs, and the guard. Return the names of the steps that were necessary."""
        with self._login(progress) as guest:
            steps = provision.host_steps(provision.family_of(guest), provision.NEEDED, provision.OFFERED)
            todo = provision.left_to_do(guest, steps)
            provision.apply(guest, todo, progress, self.online)
        return [step.name for step in todo]

    def ensure_runtime(self, guest: Guest, runtime: str, progress: Progress) -> None:
        """Raise SelabError with the packages of the container runtime `runtime`, which is missing."""
        steps = provision.runtime_steps(provision.family_of(guest), runtime)
        packages = " ".join(name for step in steps for name in step.packages)
        raise SelabError(
            f"{runtime.capitalize()} is not installed on {self.config.address}.",
            hint=f"Install these packages there: {packages}.",
        )

    def online(self, guest: Guest, progress: Progress) -> AbstractContextManager[None]:
        """Return a context that changes nothing: the machine's network is not selab's."""
        return contextlib.nullcontext()

    def network(self) -> str:
        """Return "": selab knows nothing about the machine's network."""
        return ""

    def set_network(self, reach: str, progress: Progress) -> None:
        """Raise InputError: the machine's network is not selab's."""
        raise self._not_ours("opens or closes the network of")

    def status(self) -> str:
        """Return `running` if the machine answers, else UNREACHABLE."""
        try:
            self.connect().close()
        except Unreachable:
            return UNREACHABLE
        return "running"

    def connect(self, limit: float = LOGIN_TIMEOUT) -> SshGuest:
        """Return a connection.

        Raises SelabError before the first contact, if the user's ssh does not know the machine either.
        """
        if not self._is_known():
            hint = "Run `selab vm up`: it makes the first contact and shows the key."
            raise SelabError(
                f"The host key of {self.config.address} is not known.",
                f"Looked in {', '.join(map(str, self._user_known_hosts))}.",
                hint,
            )
        return SshGuest.connect(self.address, limit=limit)

    def location(self) -> str:
        """Return USER@HOST:PORT."""
        return str(self.address)

    def shell(self) -> None:
        if shutil.which("ssh") is None:
            raise SelabError(
                "No ssh client is installed.",
                hint="Install openssh-client, or name a command: `selab vm ssh -- id`.",
            )
        with self.connect() as guest:
            address = guest.address
        subprocess.run(interactive(address))

    def suspend(self, progress: Progress) -> None:
        raise self._not_ours("suspends")

    def halt(self, progress: Progress) -> None:
        raise self._not_ours("halts")

    def destroy(self, progress: Progress) -> None:
        raise self._not_ours("removes")

    def reset(self) -> None:
        raise self._not_ours("resets")

    def console_command(self) -> list[str]:
        raise self._not_ours("opens a console on")

    def wait(self) -> SshGuest:
        return self.connect()

    def rescue(self, progress: Progress) -> str:
        """Restore the base policy and the mode by SSH, if a new login fails or finds a fault."""
        wrong, responds = rescue.trouble(self._new_login)
        if not wrong:
            return ""
        progress.note(f"{wrong.rstrip('.')}: restoring the base policy")
        if responds:
            with contextlib.suppress(SelabError), self._new_login() as guest:
                guest.run(script_argv("vm/restore-existing"), timeout=rescue.UNDO_LIMIT)
            wrong, _ = rescue.trouble(self._new_login)
        if wrong:
            hint = (
                "Use its console, or reboot it: a candidate is in the kernel only. "
                "If the guard is installed, it restores the base policy after a minute."
            )
            raise Unreachable(f"The base policy of {self.config.address} could not be restored.", wrong, hint)
        return "The base policy was restored by SSH."

    def try_login(self) -> None:
        with self._new_login() as guest:
            guest.run(("true",), timeout=rescue.CHECK_LIMIT).expect("A new login cannot run a command.")

    def vagrant_parameters(self) -> VagrantParameters:
        return VagrantParameters(profile="host")

    def applied(self) -> list[str]:
        return []

    def _new_login(self) -> SshGuest:
        return self.connect(rescue.LOGIN_LIMIT)

    def _is_known(self) -> bool:
        """Return whether the host key is pinned, after pinning the one that the user's ssh knows."""
        address = self.address
        if pinned_key(address.known_hosts) is None:
            known = known_key(self._user_known_hosts, self._route.target.known_as)
            if known is None:
                return False
            pin(address.known_hosts, known)
        return True

    def _login(self, progress: Progress) -> SshGuest:
        """Return a connection. At the first contact the machine's unknown host key is pinned and reported."""
        if self._is_known():
            return self.connect()
        address = self.address
        guest = SshGuest.connect(address, first_contact=True)
        key = pinned_key(address.known_hosts)
        if key:
            progress.note(
                f"the host key of {address.host} is trusted from now on: {key.get_name()} {key.fingerprint}"
            )
        return guest

    def _check(self, guest: SshGuest, progress: Progress) -> None:
        """Raise SelabError if no run can work on the machine."""
        done = guest.run(script_argv("vm/check-existing"))
        if not done.ok:
            hint = "selab needs root there: as the user root, or by sudo without a password."
            raise SelabError(
                f"{self.config.address} cannot be used.", (done.text or done.error_text).strip()[:200], hint
            )
        steps = provision.host_steps(provision.family_of(guest), provision.NEEDED)
        left = provision.left_to_do(guest, steps)
        if left:
            packages = " ".join(name for step in left for name in step.packages)
            by_hand = f", or install these packages there: {packages}" if packages else ""
            raise SelabError(
                f"{self.config.address} lacks what a run needs.",
                ", ".join(step.name for step in left),
                f"Run `selab vm up --prepare`{by_hand}.",
            )
        if not guest.run(("systemctl", "-q", "is-enabled", "selab-guard")).ok:
            progress.note(NO_GUARD)

    def _not_ours(self, does: str) -> InputError:
        return InputError(
            f"{self.config.address} is an existing host, not a VM.",
            f"selab neither creates nor {does} it.",
            "Log in with `selab vm ssh`.",
        )


def _named_key(name: str) -> Path:
    """Return the private key's file that selab.yaml names."""
    path = Path(name).expanduser()
    if not path.is_file():
        raise InputError(
            "The private key that selab.yaml names does not exist.",
            str(path),
            "Correct `key:` in selab.yaml.",
        )
    return path


def _agent_has_keys() -> bool:
    with contextlib.closing(paramiko.Agent()) as agent:
        return bool(agent.get_keys())
