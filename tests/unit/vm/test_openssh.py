"""The command of OpenSSH's client for an interactive shell."""

from __future__ import annotations

import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from selab.vm.openssh import interactive
from selab.vm.ssh_config import Server
from selab.vm.ssh_login import Address

ADDRESS = Address("127.0.0.1", 2222, "vagrant", Path("/keys/id 1"), Path("/p/.selab/known hosts"))
JUMP = Server("gw", "ssh gw", "gw.test", 2022, "me", (Path("/keys/gw"),), False, "gw", (Path("/home/known"),))


def options(words: list[str]) -> dict[str, str]:
    """The values of the options that `words` sets with -o."""
    values = [value for flag, value in zip(words, words[1:], strict=False) if flag == "-o"]
    return dict(value.split("=", 1) for value in values)


def effective(words: list[str]) -> dict[str, str]:
    """What ssh itself reads from the command."""
    done = subprocess.run([words[0], "-G", *words[1:]], capture_output=True, text=True, check=True)
    return dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)


def test_only_the_pinned_host_key_is_accepted() -> None:
    settings = effective(interactive(ADDRESS))
    assert settings["stricthostkeychecking"] == "true"
    assert settings["hostkeyalias"] == "selab-guest"
    assert settings["userknownhostsfile"] == "/p/.selab/known hosts"
    assert settings["globalknownhostsfile"] == "/dev/null"


def test_it_logs_in_as_the_user_at_the_port_with_the_key() -> None:
    words = interactive(ADDRESS)
    settings = effective(words)
    assert (settings["hostname"], settings["port"], settings["user"]) == ("127.0.0.1", "2222", "vagrant")
    assert words[words.index("-i") + 1] == "/keys/id 1"
    assert words[:3] == ["ssh", "-F", "none"]


@pytest.mark.parametrize(("agent", "only"), [(False, "yes"), (True, "no")])
def test_the_agents_keys_are_offered_only_if_they_are_to_be_used(agent: bool, only: str) -> None:
    assert options(interactive(replace(ADDRESS, agent=agent)))["IdentitiesOnly"] == only


def test_the_guest_does_not_get_the_users_agent_and_asks_for_no_password() -> None:
    values = options(interactive(replace(ADDRESS, agent=True)))
    assert (values["ForwardAgent"], values["PasswordAuthentication"]) == ("no", "no")


def test_a_jump_host_is_checked_against_its_own_known_hosts() -> None:
    proxy = options(interactive(replace(ADDRESS, jumps=(JUMP,))))["ProxyCommand"]
    words = shlex.split(proxy)
    values = options(words)
    assert (values["HostKeyAlias"], values["UserKnownHostsFile"]) == ("gw", '"/home/known"')
    assert values["StrictHostKeyChecking"] == "yes"
    assert words[-3:] == ["-W", "[%h]:%p", "me@gw.test"]


def test_the_second_jump_host_is_reached_through_the_first() -> None:
    inner = replace(JUMP, host="inner.test")
    outer = shlex.split(options(interactive(replace(ADDRESS, jumps=(JUMP, inner))))["ProxyCommand"])
    assert outer[-1] == "me@inner.test"
    first = shlex.split(options(outer)["ProxyCommand"].replace("%%", "%"))
    assert first[-1] == "me@gw.test"


def test_percent_signs_in_paths_and_in_the_users_command_stay_literal() -> None:
    address = replace(ADDRESS, key=Path("/keys/100%h"), proxy_command="connect 50%")
    words = interactive(address)
    assert words[words.index("-i") + 1] == "/keys/100%%h"
    assert options(words)["ProxyCommand"] == "connect 50%%"


def test_without_a_jump_host_there_is_no_proxy_command() -> None:
    assert "ProxyCommand" not in options(interactive(ADDRESS))
