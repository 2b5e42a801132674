"""An existing host: what selab examines and reports, and that selab changes nothing there unasked."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import paramiko
import pytest
from pydantic import ValidationError

from selab.errors import InputError, SelabError, Unreachable
from selab.guest import script
from selab.machine import Machine, VagrantParameters
from selab.progress import Progress
from selab.project import HostConfig, Project, ProjectConfig, VmConfig
from selab.vm import existing, keys, provision
from selab.vm.existing import ExistingHost
from selab.vm.host_keys import HOST_ALIAS, known_key, pinned_key
from selab.vm.openssh import interactive
from selab.vm.select import machine_of
from selab.vm.ssh_login import Address
from selab.vm.virtual_machine import VirtualMachine
from tests.unit.fakes import FakeGuest, Notes

NEEDED = [step.name for step in provision.host_steps("dnf", provision.NEEDED)]


class Guest(FakeGuest):
    """A host with dnf that has all that is needed, and no guard; used as a connection."""

    def __init__(self, *, lacks: tuple[str, ...] = (), promised: str = "", guarded: bool = False) -> None:
        super().__init__()
        self.rules.append(((script("vm/probe"),), lambda argv: (0, self.states(argv, lacks), "")))
        self.answer(script("vm/check-existing"), code=1 if promised else 0, out=promised)
        self.answer(script("vm/package-tools"), out="/usr/bin/dnf\n")
        self.answer("-q is-enabled selab-guard", code=0 if guarded else 1)
        self.done: list[str] = []
        self.rules.append((("sh -c",), lambda argv: (self.done.append(argv[2]), (0, "", ""))[1]))  # type: ignore[func-returns-value]

    def states(self, argv: object, lacks: tuple[str, ...]) -> str:
        known = {
            step.probe: step
            for step in (*provision.steps("dnf"), *provision.host_steps("dnf", "needed", "offered"))
        }
        words = list(argv)[4:]  # type: ignore[call-overload]
        return "\n".join(
            "missing" if known[probe].name in lacks and known[probe].apply not in self.done else "present"
            for probe in words
        )

    def __enter__(self) -> Guest:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_text(keys.new_key()[0])
    return path


@pytest.fixture
def lab(project: Project, key: Path, tmp_path: Path) -> Project:
    config = HostConfig(
        address="lab.example.org",
        port=2200,
        user="me",
        key=str(key),
        known_hosts=str(tmp_path / "known_hosts"),
    )
    return dataclasses.replace(project, config=ProjectConfig(vm=VmConfig(box="host", host=config)))


Connect = Callable[[Guest], ExistingHost]


@pytest.fixture
def connected(lab: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Connect:
    (tmp_path / "known_hosts").write_text(f"[lab.example.org]:2200 {host_key()}\n")

    def to(guest: Guest) -> ExistingHost:
        machine = machine_of(lab)
        assert isinstance(machine, ExistingHost)
        monkeypatch.setattr(existing.SshGuest, "connect", lambda address, **_: guest)
        return machine

    return to


def test_a_project_has_the_machine_that_it_names(lab: Project, project: Project) -> None:
    assert isinstance(machine_of(lab), ExistingHost) and isinstance(machine_of(project), VirtualMachine)


@pytest.mark.parametrize(
    "vm", [{"box": "host"}, {"box": "auto", "host": {"address": "x"}}, {"box": "host", "host": {}}]
)
def test_a_host_is_named_where_the_box_is_host_and_only_there(vm: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ProjectConfig.model_validate({"vm": vm})


@pytest.mark.parametrize("address", ["-oProxyCommand=x", "a b", "a\nb", "", "x/y", "root@x", "lab:2200"])
def test_an_address_is_one_word_and_no_option(address: str) -> None:
    with pytest.raises(ValidationError):
        HostConfig(address=address)


def test_a_machine_that_has_everything_is_only_looked_at(connected: Connect) -> None:
    guest = Guest()
    assert connected(guest).ensure(Progress()) is guest
    assert (guest.done, guest.files, guest.closed) == ([], {}, False)


@pytest.mark.parametrize("name", NEEDED)
def test_what_is_lacking_is_named_and_not_installed(connected: Connect, name: str) -> None:
    guest = Guest(lacks=(name,))
    with pytest.raises(SelabError, match="lacks what a run needs") as caught:
        connected(guest).ensure(Progress())
    assert name in caught.value.detail and "--prepare" in caught.value.hint
    assert (guest.done, guest.closed) == ([], True)


def test_the_packages_that_have_it_are_named(connected: Connect) -> None:
    with pytest.raises(SelabError) as caught:
        connected(Guest(lacks=("SELinux and audit tools",))).ensure(Progress())
    assert "container-selinux selinux-policy-devel" in caught.value.hint


def test_on_demand_it_is_installed_and_the_guard_too(connected: Connect) -> None:
    guard = "The guard against a policy that locks selab out"
    guest = Guest(lacks=("Audit daemon running", guard))
    assert connected(guest).prepare(Progress()) == ["Audit daemon running", guard]
    assert "/usr/local/lib/selab/guard" in guest.files


def test_no_login_is_changed_on_demand_either() -> None:
    offered = {
        step.name for family in ("apt", "dnf") for step in provision.host_steps(family, "needed", "offered")
    }
    assert offered == {
        "EPEL, the repository that has secilc for EL 9",
        "SELinux and audit tools",
        "Audit daemon running",
        "The guard against a policy that locks selab out",
    }


@pytest.mark.parametrize("reason", ["SELinux is not enabled", "its commands do not run as root"])
def test_a_machine_on_which_no_run_can_work_is_told(connected: Connect, reason: str) -> None:
    guest = Guest(promised=reason)
    with pytest.raises(SelabError) as caught:
        connected(guest).ensure(Progress())
    assert (caught.value.what, caught.value.detail, caught.value.hint, guest.closed) == (
        "lab.example.org cannot be used.",
        reason,
        "selab needs root there: as the user root, or by sudo without a password.",
        True,
    )


@pytest.mark.parametrize("guarded", [True, False])
def test_that_there_is_no_guard_is_said(connected: Connect, guarded: bool) -> None:
    progress = Notes()
    connected(Guest(guarded=guarded)).ensure(progress)
    assert (existing.NO_GUARD in progress.notes) is not guarded


@pytest.mark.parametrize(
    ("method", "does"),
    [
        ("suspend", "suspends"),
        ("halt", "halts"),
        ("destroy", "removes"),
        ("reset", "resets"),
        ("console_command", "opens a console on"),
        ("set_network", "opens or closes the network of"),
    ],
)
def test_what_an_existing_host_does_is_not_selabs_to_change(
    connected: Connect, method: str, does: str
) -> None:
    words = {"reset": (), "console_command": (), "set_network": ("closed", Progress())}
    with pytest.raises(InputError) as caught:
        getattr(connected(Guest()), method)(*words.get(method, (Progress(),)))
    assert (caught.value.what, caught.value.detail, caught.value.hint) == (
        "lab.example.org is an existing host, not a VM.",
        f"selab neither creates nor {does} it.",
        "Log in with `selab vm ssh`.",
    )


def test_its_network_stays_as_it_is(connected: Connect) -> None:
    guest = Guest()
    machine = connected(guest)
    with machine.online(guest, Progress()):
        pass
    assert (machine.network(), guest.done) == ("", [])


def test_a_runtime_that_it_lacks_is_named_with_its_packages(connected: Connect) -> None:
    guest = Guest()
    with pytest.raises(SelabError, match="Podman is not installed on lab.example.org") as caught:
        connected(guest).ensure_runtime(guest, "podman", Progress())
    assert (caught.value.hint, guest.done) == ("Install these packages there: podman.", [])


def test_before_the_first_contact_no_key_is_trusted_silently(lab: Project) -> None:
    with pytest.raises(SelabError) as caught:
        machine_of(lab).status()
    assert lab.config.vm.host is not None
    assert (caught.value.what, caught.value.detail, caught.value.hint) == (
        "The host key of lab.example.org is not known.",
        f"Looked in {lab.config.vm.host.known_hosts}.",
        "Run `selab vm up`: it makes the first contact and shows the key.",
    )


def test_the_state_of_an_existing_host_is_whether_it_answers(connected: Connect) -> None:
    machine = connected(Guest())
    assert (machine.status(), machine.location()) == ("running", "me@lab.example.org:2200")
    assert (machine.vagrant_parameters(), machine.applied()) == (VagrantParameters(profile="host"), [])


def test_an_existing_host_is_not_waited_for(connected: Connect) -> None:
    guest = Guest()
    assert connected(guest).wait() is guest


@pytest.mark.parametrize("code", [0, 1])
def test_a_login_is_tried_with_a_command(connected: Connect, code: int) -> None:
    guest = Guest()
    guest.rules.insert(0, (("true",), lambda argv: (code, "", "broken")))
    machine = connected(guest)
    with pytest.raises(SelabError, match="A new login cannot run a command") if code else nullcontext():
        machine.try_login()
    assert (guest.commands, guest.closed) == ([("true",)], True)


def test_a_shell_needs_the_clients_program(connected: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(existing.shutil, "which", lambda name: None)
    with pytest.raises(SelabError) as caught:
        connected(Guest()).shell()
    assert (caught.value.what, caught.value.hint) == (
        "No ssh client is installed.",
        "Install openssh-client, or name a command: `selab vm ssh -- id`.",
    )


def test_one_that_does_not_answer_is_unreachable(
    lab: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "known_hosts").write_text(f"[lab.example.org]:2200 {host_key()}\n")

    def silent(*_: object, **__: object) -> None:
        raise Unreachable("no answer")

    monkeypatch.setattr(existing.SshGuest, "connect", silent)
    assert machine_of(lab).status() == "unreachable"


# --- keys -----------------------------------------------------------------------------------------


def host_key() -> str:
    return keys.new_key()[1].rsplit(" ", 1)[0]


def test_the_host_key_is_the_one_that_ssh_knows(lab: Project, connected: Connect, tmp_path: Path) -> None:
    public = host_key()
    (tmp_path / "known_hosts").write_text(f"other {host_key()}\n[lab.example.org]:2200 {public}\n")
    machine = connected(Guest())
    machine.ensure(Progress())
    pinned = pinned_key(machine.address.known_hosts)
    assert pinned is not None and f"ssh-ed25519 {pinned.get_base64()}" == public


def test_an_unknown_key_is_pinned_and_reported_at_the_first_contact(
    lab: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    public, first_contacts = host_key(), []

    def connect(address: Address, **options: object) -> Guest:
        first_contacts.append(options.get("first_contact"))
        address.known_hosts.write_text(f"{HOST_ALIAS} {public}\n")
        return Guest()

    monkeypatch.setattr(existing.SshGuest, "connect", connect)
    progress = Notes()
    machine_of(lab).ensure(progress)
    machine_of(lab).ensure(progress)
    assert (
        first_contacts == [True, None]
        and len([note for note in progress.notes if "is trusted from now on" in note]) == 1
    )


@pytest.mark.parametrize(
    "text", ["", "garbage", "x ssh-ed25519 nonsense\n", "@revoked lab ssh-ed25519 AAAA\n"]
)
def test_a_file_without_the_key_has_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "known_hosts").write_text(text)
    assert known_key((tmp_path / "known_hosts",), "lab") is None
    assert known_key((tmp_path / "nothing",), "lab") is None


def test_a_hashed_name_is_found(tmp_path: Path) -> None:
    (tmp_path / "known_hosts").write_text(f"{paramiko.HostKeys.hash_host('lab')} {host_key()}\n")
    assert known_key((tmp_path / "known_hosts",), "lab") is not None


def test_a_key_that_is_not_there_is_wrong_input(lab: Project) -> None:
    assert lab.config.vm.host is not None
    with pytest.raises(InputError, match="private key"):
        _ = ExistingHost(lab, lab.config.vm.host.model_copy(update={"key": "/nowhere"})).address


def test_without_a_named_key_the_agents_are_tried(lab: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    assert lab.config.vm.host is not None
    monkeypatch.setattr(
        existing.paramiko,
        "Agent",
        lambda: type("Agent", (), {"get_keys": lambda self: ("a key",), "close": lambda self: None})(),
    )
    address = ExistingHost(lab, lab.config.vm.host.model_copy(update={"key": ""})).address
    assert address.key is None and "-i" not in interactive(address)


# --- a machine that a candidate has locked --------------------------------------------------------


def rescued(
    connected: Connect, monkeypatch: pytest.MonkeyPatch, *troubles: tuple[str, bool]
) -> tuple[str, Guest]:
    answers = iter(troubles)
    monkeypatch.setattr(existing.rescue, "trouble", lambda login: next(answers))
    guest = Guest()
    machine: Machine = connected(guest)
    return machine.rescue(Progress()), guest


def test_where_a_new_login_works_nothing_is_done(connected: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    action, guest = rescued(connected, monkeypatch, ("", True))
    assert (action, guest.done) == ("", [])


def test_the_base_policy_and_then_the_mode_are_given_back_by_ssh(
    connected: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    action, guest = rescued(connected, monkeypatch, ("left in another mode", True), ("", True))
    assert "by SSH" in action and guest.done[0].index("load_policy") < guest.done[0].index("/run/selab/mode")


def test_if_no_login_works_the_hint_is_a_reboot(connected: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unreachable) as caught:
        rescued(connected, monkeypatch, ("no answer", False))
    assert (caught.value.what, caught.value.detail, caught.value.hint) == (
        "The base policy of lab.example.org could not be restored.",
        "no answer",
        "Use its console, or reboot it: a candidate is in the kernel only. "
        "If the guard is installed, it restores the base policy after a minute.",
    )


def test_a_restored_policy_that_leaves_a_fault_is_an_error(
    connected: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Unreachable) as caught:
        rescued(connected, monkeypatch, ("left in another mode", True), ("still so", True))
    assert caught.value.detail == "still so"
