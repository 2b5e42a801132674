"""What the user's ssh configuration says about an existing host, as ssh would read it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from selab.errors import InputError
from selab.project import HostConfig, Project
from selab.vm import ssh_config
from selab.vm.existing import ExistingHost
from selab.vm.ssh_config import Route, UserConfig
from tests.unit.processes import assert_ended, is_running


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "home/.ssh").mkdir(parents=True)
    (tmp_path / "home/.ssh/id_ed25519").touch()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LOGNAME", "local")
    monkeypatch.setattr(ssh_config, "SYSTEM_FILE", tmp_path / "etc/ssh_config")
    return tmp_path / "home/.ssh"


@pytest.fixture
def route(home: Path) -> Callable[..., Route]:
    """The route to `name` under a given ~/.ssh/config."""

    def to(text: str, name: str = "lab", user: str | None = None, port: int | None = None) -> Route:
        (home / "config").write_text(text)
        return UserConfig().route(name, user=user, port=port, default_user="root")

    return to


LAB = "Host lab\n  HostName 10.0.0.5\n  User me\n  Port 2200\n"


def test_an_alias_has_its_address_user_and_port(route: Callable[..., Route]) -> None:
    assert str(route(LAB).target) == "me@10.0.0.5:2200"


def test_what_is_given_counts_before_the_files(route: Callable[..., Route]) -> None:
    assert str(route(LAB, user="you", port=22).target) == "you@10.0.0.5:22"


def test_a_host_that_no_file_names_has_the_defaults(route: Callable[..., Route]) -> None:
    assert str(route(LAB, "other").target) == "root@other:22"


def test_without_any_file_the_defaults_count(home: Path) -> None:
    assert str(UserConfig().route("lab", default_user="root").target) == "root@lab:22"


def test_the_users_file_counts_before_the_systems(route: Callable[..., Route], tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/ssh_config").write_text("User other\nHost lab\n  Port 1\n  HostName 10.0.0.6\n")
    assert str(route("Host lab\n  User me\n").target) == "me@10.0.0.6:1"


def test_identity_files_that_exist_are_tried_in_order(route: Callable[..., Route], home: Path) -> None:
    (home / "b").touch()
    (home / "a").touch()
    target = route(
        "Host lab\n  IdentityFile ~/.ssh/b\n  IdentityFile ~/.ssh/none\n  IdentityFile ~/.ssh/a\n"
    ).target
    assert (target.keys, target.agent) == ((home / "b", home / "a"), True)


def test_without_identity_files_the_default_keys_are_tried(route: Callable[..., Route], home: Path) -> None:
    assert route(LAB).target.keys == (home / "id_ed25519",)


def test_with_identities_only_the_agents_other_keys_are_not_tried(route: Callable[..., Route]) -> None:
    assert not route("Host lab\n  IdentitiesOnly yes\n").target.agent


def test_the_files_of_known_hosts_and_the_name_in_them_are_the_users(
    route: Callable[..., Route], home: Path
) -> None:
    target = route("Host lab\n  HostKeyAlias lab1\n  UserKnownHostsFile ~/.ssh/k1 ~/.ssh/k2\n").target
    assert (target.known_as, target.known_hosts[:2]) == ("lab1", (home / "k1", home / "k2"))
    assert route(LAB).target.known_as == "[10.0.0.5]:2200"


# --- gateways -----------------------------------------------------------------------------------


def test_jump_hosts_are_visited_in_their_order(route: Callable[..., Route]) -> None:
    path = route(
        "Host lab\n  ProxyJump a,you@b:23\nHost b\n  HostName 10.0.0.9\n  User x\n  ProxyJump none\n"
    )
    assert [str(jump) for jump in path.jumps] == ["local@a:22", "you@10.0.0.9:23"]
    assert [jump.command for jump in path.jumps] == ["ssh a", "ssh -p 23 you@b"]


def test_the_gateway_of_the_first_jump_host_counts(route: Callable[..., Route]) -> None:
    path = route("Host lab\n  ProxyJump b,c\nHost b\n  ProxyJump a\nHost a\n  ProxyCommand nc %h %p\n")
    assert [jump.name for jump in path.jumps] == ["a", "b", "c"]
    assert path.proxy_command == "nc a 22"


def test_a_proxy_command_has_the_given_port(route: Callable[..., Route]) -> None:
    assert route(LAB + "  ProxyCommand nc %h %p %r %n\n", port=24).proxy_command == "nc 10.0.0.5 24 me lab"


def test_a_gateway_for_all_hosts_is_reached_directly(route: Callable[..., Route]) -> None:
    path = route("Host *\n  ProxyJump gate\n")
    assert [jump.name for jump in path.jumps] == ["gate"]


@pytest.mark.parametrize(
    "first, second, jumps",
    [
        ("ProxyJump none", "ProxyCommand false", 0),
        ("ProxyCommand none", "ProxyJump gate", 0),
        ("ProxyJump gate", "ProxyCommand false", 1),
    ],
)
def test_of_two_gateways_the_first_counts(
    route: Callable[..., Route], first: str, second: str, jumps: int
) -> None:
    path = route(f"Host lab\n  {first}\nHost l*\n  {second}\n")
    assert (len(path.jumps), path.proxy_command) == (jumps, "")


def test_jump_hosts_that_name_each_other_are_an_error(route: Callable[..., Route]) -> None:
    with pytest.raises(InputError, match="too many jump hosts"):
        route("Host lab\n  ProxyJump a\nHost a\n  ProxyJump b\nHost b\n  ProxyJump a\n")


@pytest.mark.parametrize("jump", ["a:b", "@a", "[::1", "a,,b"])
def test_a_jump_host_that_cannot_be_read_is_an_error(route: Callable[..., Route], jump: str) -> None:
    with pytest.raises(InputError, match="jump host"):
        route(f"Host lab\n  ProxyJump {jump}\n")


@pytest.mark.parametrize("jump", ["[::1]:23", "ssh://you@[::1]:23", "ssh://you@[::1]:23/"])
def test_a_jump_host_may_be_an_ipv6_address(route: Callable[..., Route], jump: str) -> None:
    (jump_host,) = route(f"Host lab\n  ProxyJump {jump}\n").jumps
    assert (jump_host.host, jump_host.port) == ("::1", 23)


# --- files --------------------------------------------------------------------------------------


def test_included_files_are_read(route: Callable[..., Route], home: Path) -> None:
    (home / "config.d").mkdir()
    (home / "config.d/lab").write_text(LAB)
    path = route("Include config.d/*\nHost lab\n  User late\n  Port 1\nHost *\n  ProxyJump gate\n")
    assert str(path.target) == "me@10.0.0.5:2200" and len(path.jumps) == 1


def test_what_follows_an_include_applies_as_before_it(route: Callable[..., Route], home: Path) -> None:
    (home / "more").write_text("Host other\n  Port 1\n")
    assert str(route("Include more\nUser me\n").target) == "me@lab:22"


def test_an_include_for_some_hosts_applies_to_no_others(route: Callable[..., Route], home: Path) -> None:
    (home / "more").write_text("Host *\n  Port 1\n")
    assert route("Host other\n  Include more\n").target.port == 22


@pytest.mark.parametrize(
    "criteria, port",
    [
        ("host lab", 1),
        ("Host lab", 1),
        ("!host lab", 22),
        ("originalhost other", 22),
        ("all", 1),
        ("exec true", 1),
        ("exec false", 22),
        ("!exec false", 1),
        ('exec "test %h = lab"', 1),
        ("originalhost other exec true", 22),
        ("localnetwork 10.0.0.0/8", 22),
        ("originalhost lab tagged x", 22),
        ("host", 22),
    ],
)
def test_a_match_applies_if_its_criteria_are_met(
    route: Callable[..., Route], criteria: str, port: int
) -> None:
    assert route(f"Match {criteria}\n  Port 1\n").target.port == port


@pytest.mark.program
def test_the_command_of_a_match_has_a_time_limit(
    route: Callable[..., Route], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh_config, "MATCH_LIMIT", 0.2)
    with pytest.raises(InputError, match="does not end") as caught:
        route('Match exec "sleep 60; true"\n  Port 1\n')
    assert "`Match exec sleep 60; true`" in caught.value.detail


def test_what_the_command_of_a_match_starts_in_the_background_remains(
    route: Callable[..., Route], tmp_path: Path
) -> None:
    file = tmp_path / "pid"
    route(f'Match exec "sleep 60 & echo $! > {file}"\n  Port 1\n')
    pid = int(file.read_text())
    time.sleep(0.1)  # a process that was killed needs a moment to end
    remains = is_running(pid)
    os.kill(pid, signal.SIGTERM)
    assert remains


@pytest.mark.program
def test_after_the_time_limit_nothing_of_the_command_of_a_match_remains(
    route: Callable[..., Route], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "pid"
    monkeypatch.setattr(ssh_config, "MATCH_LIMIT", 0.5)
    with pytest.raises(InputError, match="does not end"):
        route(f'Match exec "sleep 60 & echo $! > {file}; wait"\n  Port 1\n')
    assert_ended(file)


def test_a_file_that_includes_itself_comes_to_an_end(route: Callable[..., Route]) -> None:
    assert route("Include config\n" + LAB).target.port == 2200


@pytest.mark.parametrize("text", ["Host lab\n  Port x\n", "nonsense\n", 'Host "lab\n'])
def test_a_configuration_that_cannot_be_read_is_an_error(route: Callable[..., Route], text: str) -> None:
    with pytest.raises(InputError, match="ssh configuration of lab") as caught:
        route(text)
    assert "`ssh -G lab`" in caught.value.hint


@pytest.mark.parametrize("text", ['Include "x\n', 'Match host "lab\n'])
def test_quotes_that_do_not_end_are_an_error(route: Callable[..., Route], text: str) -> None:
    with pytest.raises(InputError, match="ssh configuration cannot be read"):
        route(text)


@pytest.mark.parametrize("line", ["ForwardAgent ask", "ConnectTimeout none"])
def test_options_without_meaning_here_do_no_harm(route: Callable[..., Route], line: str) -> None:
    assert route(f"{line}\n").target.host == "lab"


# --- selab.yaml ---------------------------------------------------------------------------------


def test_the_key_of_selab_yaml_is_the_only_one(project: Project, home: Path) -> None:
    (home / "config").write_text(f"Host lab\n  IdentityFile {home}/id_ed25519\n")
    (home / "own").touch()
    address = ExistingHost(project, HostConfig(address="lab", key=str(home / "own"))).address
    assert (address.keys, address.agent) == ((home / "own",), False)


def test_selab_yaml_counts_before_the_files(project: Project, home: Path) -> None:
    (home / "config").write_text(LAB)
    assert (
        ExistingHost(project, HostConfig(address="lab", user="you", port=22)).location() == "you@10.0.0.5:22"
    )


def test_a_host_without_an_alias_is_pinned_under_the_name_of_before(project: Project) -> None:
    address = ExistingHost(project, HostConfig(address="lab.example.org")).address
    assert address.known_hosts == project.state / "host-lab.example.org-22"


def test_no_key_at_all_is_an_error(project: Project, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    (home / "id_ed25519").unlink()
    with pytest.raises(InputError, match="no private key to log in with"):
        _ = ExistingHost(project, HostConfig(address="lab")).address
