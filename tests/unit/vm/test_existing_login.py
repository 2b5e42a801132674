"""How selab logs in to an existing host, for how long, and what it says if that fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import paramiko
import pytest

from selab.errors import InputError, SelabError, Unreachable
from selab.guest import script
from selab.progress import Progress
from selab.project import HostConfig, Project
from selab.vm import existing, keys, provision, rescue
from selab.vm.existing import ExistingHost
from selab.vm.host_keys import HOST_ALIAS, pin_text, pinned_key
from selab.vm.openssh import interactive
from selab.vm.ssh_config import Route, Server
from selab.vm.ssh_login import LOGIN_TIMEOUT, Address
from tests.unit.fakes import Notes

from .test_existing import Guest

PUBLIC = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBVlO4bIQmB8tbBVhBKhQKnZtKMkqRHbGtAjbCPrfGKv"
LAB = Server(
    name="lab",
    command="ssh lab",
    host="lab.test",
    port=2200,
    user="me",
    keys=(Path("/k1"), Path("/k2")),
    agent=True,
    known_as="[lab.test]:2200",
    known_hosts=(Path("/h1"), Path("/h2")),
)
BASTION = replace(LAB, name="bastion", host="bastion.test")


@dataclass
class World:
    """The user's ssh configuration, whose route to each host is `route`, and a host with the `guest`.

    questions: what the configuration was asked for.
    logins: the address and the options of each login.
    shows: the host key that a login with `first_contact` pins, or "".
    """

    project: Project
    route: Route = field(default_factory=lambda: Route(LAB, (BASTION,), "nc %h"))
    guest: Guest = field(default_factory=Guest)
    questions: list[tuple[Any, ...]] = field(default_factory=list)
    logins: list[tuple[Address, dict[str, Any]]] = field(default_factory=list)
    shows: str = PUBLIC

    def machine(self, **config: Any) -> ExistingHost:
        return ExistingHost(self.project, HostConfig(address="lab", **config))

    def known(self) -> ExistingHost:
        """Return the machine, whose host key is pinned."""
        machine = self.machine()
        pin_text(machine.address.known_hosts, PUBLIC)
        return machine

    def target(self, **changes: Any) -> None:
        self.route = replace(self.route, target=replace(self.route.target, **changes))

    def ask(self, address: str, **options: Any) -> Route:
        self.questions.append((address, options))
        return self.route

    def login(self, address: Address, **options: Any) -> Guest:
        self.logins.append((address, options))
        if options.get("first_contact") and self.shows:
            pin_text(address.known_hosts, self.shows)
        return self.guest


@pytest.fixture
def world(project: Project, monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(project)
    monkeypatch.setattr(existing, "UserConfig", lambda: type("UserConfig", (), {"route": world.ask}))
    monkeypatch.setattr(existing.SshGuest, "connect", world.login)
    return world


@pytest.fixture
def key(tmp_path: Path) -> Path:
    (tmp_path / "named key").write_text(keys.new_key()[0])
    return tmp_path / "named key"


def agent_with(monkeypatch: pytest.MonkeyPatch, *names: str) -> list[str]:
    """Let the SSH agent have the keys `names`. Return a list to which each closing of it is added."""
    closings: list[str] = []
    agent = {"get_keys": lambda self: names, "close": lambda self: closings.append("closed")}
    monkeypatch.setattr(existing.paramiko, "Agent", type("Agent", (), agent))
    return closings


# --- the address ----------------------------------------------------------------------------------


def test_the_users_configuration_is_asked_for_what_selab_yaml_leaves_open(world: World) -> None:
    _ = world.machine(user="admin", port=23).address
    assert world.questions == [("lab", {"user": "admin", "port": 23, "default_user": "root"})]


def test_the_address_is_the_one_that_the_users_configuration_gives(world: World) -> None:
    assert world.machine().address == Address(
        host="lab.test",
        port=2200,
        user="me",
        key=Path("/k1"),
        known_hosts=world.project.state / "host-lab.test-2200",
        more_keys=(Path("/k2"),),
        agent=True,
        jumps=(BASTION,),
        proxy_command="nc %h",
    )


def test_a_named_key_is_the_only_one_that_is_tried(world: World, key: Path) -> None:
    address = world.machine(key=str(key)).address
    assert (address.key, address.more_keys, address.agent) == (key, (), False)


def test_a_named_key_may_be_in_the_home_directory(
    world: World, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(key.parent))
    assert world.machine(key=f"~/{key.name}").address.key == key


@pytest.mark.parametrize("is_directory", [True, False])
def test_a_named_key_that_is_no_file_is_refused_with_its_path(
    world: World, tmp_path: Path, is_directory: bool
) -> None:
    path = tmp_path if is_directory else tmp_path / "nowhere"
    with pytest.raises(InputError) as caught:
        _ = world.machine(key=str(path)).address
    assert "private key that selab.yaml names does not exist" in caught.value.what
    assert caught.value.detail == str(path)
    assert "`key:`" in caught.value.hint and "selab.yaml" in caught.value.hint


def test_without_any_key_the_hint_says_where_to_name_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    closings = agent_with(monkeypatch)
    world.target(keys=())
    with pytest.raises(InputError) as caught:
        _ = world.machine().address
    assert "There is no private key" in caught.value.what
    assert "SSH agent" in caught.value.detail and "~/.ssh" in caught.value.detail
    assert "`key:` in selab.yaml" in caught.value.hint and "`IdentityFile`" in caught.value.hint
    assert closings == ["closed"]


def test_a_key_of_the_agent_is_enough(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    closings = agent_with(monkeypatch, "a key")
    world.target(keys=())
    address = world.machine().address
    assert (address.key, address.more_keys, address.agent, closings) == (None, (), True, ["closed"])


def test_the_agent_is_not_asked_if_there_is_a_key(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(existing.paramiko, "Agent", lambda: pytest.fail("asked"))
    assert world.machine().address.key == Path("/k1")


def test_the_file_of_the_host_key_has_a_plain_name(world: World) -> None:
    world.target(host="fe80::1%eth0/x")
    assert world.machine().address.known_hosts == world.project.state / "host-fe80::1_eth0_x-2200"


# --- the host key ---------------------------------------------------------------------------------


def test_an_unknown_host_is_refused_with_the_files_that_were_read(world: World) -> None:
    with pytest.raises(SelabError) as caught:
        world.machine().connect()
    assert "host key of lab is not known" in caught.value.what
    assert "/h1, /h2" in caught.value.detail
    assert "`selab vm up`" in caught.value.hint
    assert world.logins == []


def test_the_known_hosts_that_selab_yaml_names_may_be_in_the_home_directory(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "hosts").write_text(f"[lab.test]:2200 {PUBLIC}\n")
    machine = world.machine(known_hosts="~/hosts")
    assert machine.connect() is world.guest
    assert machine.address.known_hosts.read_text() == f"{HOST_ALIAS} {PUBLIC}\n"


def test_the_first_contact_is_reported_with_the_host_and_its_key(world: World) -> None:
    notes = Notes()
    machine = world.machine()
    machine.ensure(notes)
    pinned = pinned_key(machine.address.known_hosts)
    assert isinstance(pinned, paramiko.PKey)
    assert world.logins == [(machine.address, {"first_contact": True})]
    assert "lab.test is trusted from now on" in notes.notes[0]
    assert f"{pinned.get_name()} {pinned.fingerprint}" in notes.notes[0]


def test_a_first_contact_that_pins_no_key_reports_none(world: World) -> None:
    world.shows, notes = "", Notes()
    world.machine().ensure(notes)
    assert notes.notes == [existing.NO_GUARD]


# --- time limits and the shell --------------------------------------------------------------------


def test_a_login_has_the_limit_that_its_caller_gives(world: World) -> None:
    machine = world.known()
    machine.connect()
    machine.connect(3.0)
    machine.wait()
    assert [options for _, options in world.logins] == [
        {"limit": LOGIN_TIMEOUT},
        {"limit": 3.0},
        {"limit": LOGIN_TIMEOUT},
    ]


def test_a_login_is_tried_within_its_limits(world: World) -> None:
    world.guest.rules.insert(0, (("true",), lambda argv: (0, "", "")))
    world.known().try_login()
    assert [options for _, options in world.logins] == [{"limit": rescue.LOGIN_LIMIT}]
    assert (world.guest.timeouts, world.guest.closed) == ([rescue.CHECK_LIMIT], True)


def test_a_login_that_runs_no_command_is_an_error(world: World) -> None:
    world.guest.rules.insert(0, (("true",), lambda argv: (1, "", "no shell")))
    with pytest.raises(SelabError) as caught:
        world.known().try_login()
    assert "new login cannot run a command" in caught.value.what and "no shell" in caught.value.detail


def test_a_state_that_is_asked_for_leaves_no_connection(world: World) -> None:
    assert (world.known().status(), world.guest.closed) == ("running", True)


def test_a_shell_is_started_after_the_login_has_shown_that_it_works(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[tuple[list[str], bool]] = []
    world.guest.address = LAB_ADDRESS = world.known().address  # type: ignore[attr-defined]
    monkeypatch.setattr(existing.shutil, "which", {"ssh": "/usr/bin/ssh"}.get)
    monkeypatch.setattr(existing.subprocess, "run", lambda words: started.append((words, world.guest.closed)))
    world.known().shell()
    assert started == [(interactive(LAB_ADDRESS), True)]


# --- what the host lacks --------------------------------------------------------------------------


@pytest.mark.parametrize("reason", [KeyboardInterrupt(), SelabError("no")])
def test_an_examination_that_ends_early_leaves_no_connection(
    world: World, monkeypatch: pytest.MonkeyPatch, reason: BaseException
) -> None:
    def ends(*_: object) -> None:
        raise reason

    monkeypatch.setattr(ExistingHost, "_check", ends)
    with pytest.raises(type(reason)):
        world.known().ensure(Progress())
    assert world.guest.closed


@pytest.mark.parametrize(
    ("out", "err", "detail"),
    [("not root\n", "noise", "not root"), ("", " sudo: no \n", "sudo: no"), ("x" * 201, "", "x" * 200)],
)
def test_the_reason_why_a_host_cannot_be_used_is_what_it_printed(
    world: World, out: str, err: str, detail: str
) -> None:
    world.guest.rules.insert(0, ((script("vm/check-existing"),), lambda argv: (1, out, err)))
    with pytest.raises(SelabError) as caught:
        world.known().ensure(Progress())
    assert caught.value.detail == detail
    assert "root" in caught.value.hint and "sudo" in caught.value.hint


TOOLS, DAEMON = "SELinux and audit tools", "Audit daemon running"


def test_each_thing_that_a_host_lacks_is_named(world: World) -> None:
    world.guest = Guest(lacks=(TOOLS, DAEMON))
    with pytest.raises(SelabError) as caught:
        world.known().ensure(Progress())
    assert caught.value.what == "lab lacks what a run needs."
    assert caught.value.detail == f"{TOOLS}, {DAEMON}"
    assert "`selab vm up --prepare`" in caught.value.hint and "container-selinux " in caught.value.hint


def test_the_hint_names_no_packages_if_none_are_missing(world: World) -> None:
    world.guest = Guest(lacks=(DAEMON,))
    with pytest.raises(SelabError) as caught:
        world.known().ensure(Progress())
    assert caught.value.hint == "Run `selab vm up --prepare`."


def test_all_packages_of_a_missing_runtime_are_named(world: World) -> None:
    with pytest.raises(SelabError) as caught:
        world.machine().ensure_runtime(world.guest, "docker", Progress())
    packages = [name for step in provision.runtime_steps("dnf", "docker") for name in step.packages]
    assert len(packages) > 1
    assert caught.value.what == "Docker is not installed on lab."
    assert caught.value.hint == f"Install these packages there: {' '.join(packages)}."


def test_a_preparation_leaves_no_connection(world: World) -> None:
    assert (world.known().prepare(Progress()), world.guest.closed) == ([], True)


# --- rescue ---------------------------------------------------------------------------------------

Troubles = Callable[..., None]


@pytest.fixture
def troubles(monkeypatch: pytest.MonkeyPatch) -> Troubles:
    """A function that sets what each examination with a new login finds."""

    def find(*results: tuple[str, bool]) -> None:
        left = iter(results)
        monkeypatch.setattr(rescue, "trouble", lambda login: (login().close(), next(left))[1])

    return find


def test_a_rescue_has_its_limits_and_reports_why_it_acts(world: World, troubles: Troubles) -> None:
    troubles(("Docker does not run.", True), ("", True))
    notes = Notes()
    assert "restored by SSH" in world.known().rescue(notes)
    assert notes.notes == ["Docker does not run: restoring the base policy"]
    assert [options for _, options in world.logins] == [{"limit": rescue.LOGIN_LIMIT}] * 3
    assert world.guest.commands[0][2] == script("vm/restore-existing")
    assert world.guest.timeouts == [rescue.UNDO_LIMIT]


def test_a_host_that_does_not_respond_is_sent_no_command(world: World, troubles: Troubles) -> None:
    troubles(("no answer", False))
    with pytest.raises(Unreachable):
        world.known().rescue(Progress())
    assert world.guest.commands == []


def test_a_rescue_that_breaks_its_own_connection_is_judged_by_a_new_login(
    world: World, troubles: Troubles
) -> None:
    def breaks(argv: object) -> Any:
        raise Unreachable("The connection to the guest broke.")

    world.guest.rules.insert(0, ((script("vm/restore-existing"),), breaks))
    troubles(("Docker does not run", True), ("", True))
    assert "restored by SSH" in world.known().rescue(Progress())
