"""What selab says if a login by SSH fails, and what it asks of a connection, without a server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import paramiko
import pytest
from paramiko.auth_strategy import AuthFailure, AuthResult, SourceResult

from selab.errors import SelabError, Unreachable
from selab.vm import ssh_login
from selab.vm.host_keys import known_name, pin, pinned_key
from selab.vm.ssh_config import Server
from selab.vm.ssh_login import KEEPALIVE, Address

KNOWN, SEEN = paramiko.ECDSAKey.generate(), paramiko.ECDSAKey.generate()


@pytest.fixture
def address(tmp_path: Path) -> Address:
    return Address("guest.test", 2200, "me", Path("/k"), tmp_path / "known_hosts")


@pytest.fixture
def jump(tmp_path: Path) -> Server:
    """A jump host that is in the second of the user's files."""
    files = (tmp_path / "first", tmp_path / "second")
    files[1].write_text(f"[jump.test]:23 {KNOWN.get_name()} {KNOWN.get_base64()}\n")
    return Server("bastion", "ssh bastion", "jump.test", 23, "me", (), False, "[jump.test]:23", files)


def failure(action: Callable[[], object]) -> SelabError:
    with pytest.raises(SelabError) as caught:
        action()
    return caught.value


def login(address: Address, *, first_contact: bool = False) -> Any:
    return ssh_login.open_connection(address, first_contact=first_contact, alive=lambda: True, limit=7.0)


# --- host keys ------------------------------------------------------------------------------------


def test_a_guest_without_a_pinned_key_is_refused_with_the_file(address: Address) -> None:
    error = failure(lambda: login(address))
    assert "guest's host key is not known" in error.what
    assert error.detail == str(address.known_hosts)
    assert "`selab vm destroy`" in error.hint


def test_a_changed_key_of_a_guest_is_shown_with_the_pinned_one_and_its_file(address: Address) -> None:
    error = ssh_login._changed(address, SEEN.fingerprint, KNOWN)
    assert "another host key than at its first contact" in error.what
    for text in (str(address), str(address.known_hosts), SEEN.fingerprint, KNOWN.fingerprint):
        assert text in error.detail
    assert "delete that file" in error.hint


def test_an_unknown_jump_host_is_refused_with_the_files_and_the_command(jump: Server) -> None:
    jump.known_hosts[1].unlink()
    error = failure(lambda: ssh_login._jump_role(jump))
    assert "jump host bastion is not known" in error.what
    assert jump.known_as in error.detail and ", ".join(map(str, jump.known_hosts)) in error.detail
    assert "`ssh bastion`" in error.hint and "compare the key" in error.hint


def test_a_changed_key_of_a_jump_host_is_shown_with_the_known_one_and_the_commands(jump: Server) -> None:
    role = ssh_login._jump_role(jump)
    assert (role.name, role.expected, role.pin_to) == ("jump host bastion", KNOWN, None)
    error = role.changed(SEEN.fingerprint, KNOWN)
    assert "jump host bastion shows another host key" in error.what
    for text in (str(jump), SEEN.fingerprint, KNOWN.fingerprint):
        assert text in error.detail
    assert "`ssh-keygen -R '[jump.test]:23'`" in error.hint and "`ssh bastion`" in error.hint


@pytest.mark.parametrize(("is_pinned", "policy"), [(True, "RejectPolicy"), (False, "_PinAtFirstContact")])
def test_only_a_guest_without_a_pinned_key_may_show_any(
    address: Address, monkeypatch: pytest.MonkeyPatch, is_pinned: bool, policy: str
) -> None:
    made: list[Any] = []
    connection = ssh_login._connection
    monkeypatch.setattr(
        ssh_login, "_connection", lambda *words: made.append((words, connection(*words))) or made[-1][1]
    )
    monkeypatch.setattr(ssh_login, "_dialled", lambda *_: SimpleNamespace(close=lambda: None, __enter__=None))
    monkeypatch.setattr(ssh_login.contextlib.ExitStack, "enter_context", lambda _, context: context)
    monkeypatch.setattr(ssh_login, "_open", lambda *_: None)
    if is_pinned:
        pin(address.known_hosts, KNOWN)
    login(address, first_contact=True)
    [((server, role, _, limit), made_connection)] = made
    assert (server, role.name, role.expected, limit) == (
        address,
        "guest",
        KNOWN if is_pinned else None,
        7.0,
    )
    assert type(made_connection.client._policy).__name__ == policy
    known = made_connection.client.get_host_keys().lookup(known_name("guest.test", 2200))
    assert (list(known.values()) if known else []) == ([KNOWN] if is_pinned else [])


def test_the_key_of_a_first_contact_is_pinned(address: Address) -> None:
    policy = ssh_login._PinAtFirstContact(address.known_hosts)
    policy.missing_host_key(cast(Any, None), "guest.test", SEEN)
    assert pinned_key(address.known_hosts) == SEEN


def test_each_step_of_a_login_has_the_limit(address: Address) -> None:
    role = ssh_login._Role("guest", KNOWN, cast(Any, None))
    connection = ssh_login._connection(address, role, cast(Any, "a socket"), 7.0)
    options = connection.connect_kwargs
    names = ("timeout", "banner_timeout", "auth_timeout", "channel_timeout")
    assert [options[name] for name in names] == [7.0] * 4
    assert options["transport_factory"].keywords == {"handshake_timeout": 7.0}
    assert (options["sock"], connection.gateway) == ("a socket", False)
    assert (connection.host, connection.port, connection.user) == ("guest.test", 2200, "me")
    assert not connection.forward_agent


def test_a_connection_through_another_one_has_no_socket_of_its_own(address: Address) -> None:
    role = ssh_login._Role("guest", KNOWN, cast(Any, None))
    first = ssh_login._connection(address, role, cast(Any, "a socket"), 7.0)
    second = ssh_login._connection(address, role, first, 7.0)
    assert (second.gateway, "sock" in second.connect_kwargs) == (first, False)


# --- a login --------------------------------------------------------------------------------------


def opening(error: Exception | None, *, authenticated: bool = True) -> Any:
    """A connection whose opening raises `error`. `keepalives` records the interval that was set."""

    def fails() -> None:
        if error:
            raise error

    keepalives: list[int] = []
    transport = SimpleNamespace(
        is_authenticated=lambda: authenticated, set_keepalive=keepalives.append, keepalives=keepalives
    )
    return SimpleNamespace(open=fails, transport=transport)


ROLE = ssh_login._Role("jump host x", None, lambda seen, known: SelabError(f"{seen} {known.fingerprint}"))


def test_a_login_keeps_its_connection_alive() -> None:
    connection = opening(None)
    ssh_login._open(connection, ROLE, "me@x:22")
    assert connection.transport.keepalives == [KEEPALIVE]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (paramiko.SSHException("no banner"), "no banner"),
        (OSError("reset by peer"), "reset by peer"),
        (EOFError(), "EOFError"),
        (None, "the server asks for more than a key"),
    ],
)
def test_a_login_that_fails_names_the_server_the_way_and_the_reason(
    error: Exception | None, reason: str
) -> None:
    caught = failure(lambda: ssh_login._open(opening(error, authenticated=False), ROLE, "me@x:22"))
    assert isinstance(caught, Unreachable)
    assert caught.what == "Logging in to the jump host x failed."
    assert caught.detail == f"me@x:22: {reason}"


def test_a_server_that_the_one_before_does_not_reach_does_not_answer() -> None:
    connection = opening(paramiko.ChannelException(2, "Connect failed"))
    error = failure(lambda: ssh_login._open(connection, ROLE, "me@x:22 through y"))
    assert isinstance(error, Unreachable)
    assert error.what == "The jump host x does not answer."
    assert error.detail == "connecting to me@x:22 through y: Connect failed"


def test_a_changed_key_is_the_error_of_its_server() -> None:
    connection = opening(paramiko.BadHostKeyException("x", SEEN, KNOWN))
    error = failure(lambda: ssh_login._open(connection, ROLE, "me@x:22"))
    assert error.what == f"{SEEN.fingerprint} {KNOWN.fingerprint}"


def refused(*results: object) -> AuthFailure:
    result = AuthResult(cast(Any, None))
    result.extend(SourceResult(cast(Any, None), each) for each in results)  # type: ignore[no-untyped-call]
    return AuthFailure(result)


@pytest.mark.parametrize(
    ("results", "reason"),
    [
        ((ValueError("a"), ValueError("b"), ValueError("a")), "a; b"),
        ((EOFError(),), "EOFError"),
        ((), "there is no key to log in with"),
    ],
)
def test_the_reasons_of_a_refusal_are_listed_once_each(results: tuple[object, ...], reason: str) -> None:
    error = refused(*results)
    assert ssh_login._refusals(error) == reason
    caught = failure(lambda: ssh_login._open(opening(error), ROLE, "me@x:22"))
    assert caught.detail == f"me@x:22: {reason}"


# --- the first server on the way ------------------------------------------------------------------


def test_a_server_that_refuses_connections_is_named_with_its_address(
    address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: list[tuple[object, ...]] = []

    def refuse(*words: object) -> None:
        attempts.append(words)
        raise ConnectionRefusedError("refused")

    monkeypatch.setattr(ssh_login.socket, "create_connection", refuse)
    error = failure(lambda: ssh_login._dialled(address, ROLE, lambda: True))
    assert isinstance(error, Unreachable)
    assert error.what == "The jump host x does not answer."
    assert error.detail == "connecting to me@guest.test:2200: refused"
    assert attempts == [(("guest.test", 2200), ssh_login.CONNECT_TIMEOUT)]


@pytest.mark.parametrize(
    ("speaks", "alive", "is_used"), [(True, False, True), (False, True, True), (False, False, False)]
)
def test_a_silent_server_is_used_if_its_guest_may_still_answer(
    address: Address, monkeypatch: pytest.MonkeyPatch, speaks: bool, alive: bool, is_used: bool
) -> None:
    events: list[object] = []
    sock = SimpleNamespace(
        close=lambda: events.append("closed"), setsockopt=lambda *words: events.append(words)
    )
    monkeypatch.setattr(ssh_login.socket, "create_connection", lambda *_: sock)

    def select(reading: list[Any], writing: list[Any], other: list[Any], seconds: float) -> Any:
        assert (reading, writing, other, seconds) == ([sock], [], [], ssh_login.SILENCE)
        return ([sock] if speaks else [], [], [])

    monkeypatch.setattr(ssh_login, "select", SimpleNamespace(select=select))
    if is_used:
        assert ssh_login._dialled(address, ROLE, lambda: alive) is sock
        assert events == [(ssh_login.socket.IPPROTO_TCP, ssh_login.socket.TCP_NODELAY, 1)]
    else:
        error = failure(lambda: ssh_login._dialled(address, ROLE, lambda: alive))
        assert "jump host x does not answer" in error.what
        assert str(address) in error.detail and "no guest runs behind it" in error.detail
        assert events == ["closed"]


# --- a ProxyCommand -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("errors", "line"), [("", ""), ("first\\nlast\\n\\n", "last"), (" \\n", ""), ("a\\377\\n", "a\ufffd")]
)
def test_the_last_line_that_a_proxy_command_printed_is_shown(errors: str, line: str) -> None:
    with ssh_login._Proxy(f"printf '{errors}' >&2") as proxy:
        proxy._process.wait(20)
        assert proxy.printed() == line


def test_no_more_of_what_a_proxy_command_printed_is_read_than_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ssh_login, "MAX_PRINTED", 5)
    with ssh_login._Proxy("echo 123456 >&2") as proxy:
        proxy._process.wait(20)
        assert proxy.printed() == "12345"
