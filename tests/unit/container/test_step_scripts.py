"""The scripts of the steps, run with sh in a sandbox with fakes of curl and of the runtime."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from selab.guest import Completed, script_argv

from .container_guest import ContainerGuest, count_seconds


def request(
    guest: ContainerGuest,
    *,
    pid: int = 77,
    wait: bool = True,
    contains: str = "",
    limit: int = 60,
    status: str = "200",
) -> Completed:
    words = ["http://127.0.0.1:80/[1]", status, contains, str(limit), "1" if wait else "0", str(pid)]
    words.append("the container")
    return guest.run(script_argv("container/http", *words))


def serve(guest: ContainerGuest, code: int, body: str = "page") -> None:
    """Let a request be answered with `code` and `body`; then curl says `curl: done` on standard error."""
    (guest.root / "body").write_text(body)
    (guest.root / "code").write_text(f"{code:03}")
    guest.program(
        "curl",
        f'cd "{guest.root}" || exit\n'
        'while [ $# -gt 1 ]; do [ "$1" != --output ] || cat body >"$2"; shift; done\n'
        "cat code; echo 'curl: done' >&2",
    )


def test_an_answer_is_awaited_while_the_container_runs(guest: ContainerGuest) -> None:
    serve(guest, 503, "busy")
    guest.program("sleep", f'cd "{guest.root}" || exit; printf 200 >code; echo works >body')
    done = request(guest, contains="works")
    assert (done.returncode, done.text) == (0, "200\n")
    assert [call.split()[0] for call in guest.called] == ["curl", "sleep", "curl"]
    assert not list(guest.path("/tmp").iterdir())


def test_a_request_takes_no_other_way_and_at_most_the_limit(guest: ContainerGuest) -> None:
    serve(guest, 200)
    request(guest)
    words = guest.called[0].split()
    assert words[words.index("--noproxy") + 1] == "*" and words[words.index("--max-time") + 1] == "60"
    assert words[-2:] == ["--", "http://127.0.0.1:80/[1]"]
    assert "g" in words[1]  # brackets in the URL are not a range


@pytest.mark.parametrize(
    ("contains", "ok"), [("-page.", True), ("page", True), ("-pag.", False), ("Page", False)]
)
def test_the_text_is_no_option_and_no_pattern(guest: ContainerGuest, contains: str, ok: bool) -> None:
    serve(guest, 200, "a -page.")
    assert request(guest, wait=False, contains=contains).ok is ok


def test_a_wrong_answer_is_reported_with_the_beginning_of_its_body(guest: ContainerGuest) -> None:
    serve(guest, 403, "x" * 299 + "yz")
    done = request(guest, wait=False)
    assert (done.returncode, done.text) == (1, f"curl: done\n{'x' * 299}y\n403\n")
    assert [call.split()[0] for call in guest.called] == ["curl"]
    assert not list(guest.path("/tmp").iterdir())


@pytest.mark.parametrize("code", [200, 302, 401, 503])
def test_any_answer_may_be_enough(guest: ContainerGuest, code: int) -> None:
    serve(guest, code)
    assert request(guest, status="any", wait=False).text == f"{code}\n"


@pytest.mark.parametrize("curl", ["printf 000; exit 7", "exit 127"], ids=["no answer", "no curl"])
def test_no_answer_is_never_enough(guest: ContainerGuest, curl: str) -> None:
    guest.program("curl", curl)
    assert request(guest, status="any", wait=False).returncode == 1


def test_any_answer_must_have_the_text(guest: ContainerGuest) -> None:
    serve(guest, 401, "page")
    assert not request(guest, status="any", wait=False, contains="works").ok


def test_a_container_that_has_ended_is_reported_at_once(guest: ContainerGuest) -> None:
    serve(guest, 0, "")
    done = request(guest, pid=78)
    assert (done.returncode, done.text.splitlines()[-2:]) == (1, ["the container has ended", "000"])
    assert [call.split()[0] for call in guest.called] == ["curl"]


def test_no_request_begins_after_the_limit(guest: ContainerGuest) -> None:
    serve(guest, 503)
    count_seconds(guest)
    assert request(guest, limit=3).returncode == 1
    assert [call.split()[0] for call in guest.called].count("curl") == 3


def wait_for_end(guest: ContainerGuest, limit: int = 60) -> Completed:
    return guest.run(script_argv("container/wait-for-end", "77", "selab-web", str(limit), "docker"))


def test_the_exit_code_is_read_after_the_container_has_ended(guest: ContainerGuest) -> None:
    guest.program("sleep", f'rm -r "{guest.root}/proc/77"')
    guest.runtime(
        inspect='[ ! -e proc/77 ] && [ "$3" = "{{.State.Running}} {{.State.ExitCode}}" ] && '
        '[ "$4" = selab-web ] && echo false 3'
    )
    done = wait_for_end(guest)
    assert (done.returncode, done.text) == (0, "3\n")


def test_the_exit_code_is_not_read_before_the_runtime_knows_it(tmp_path: Path) -> None:
    """Until then it is 0, which a step may expect."""
    guest = ContainerGuest(tmp_path)
    guest.runtime(inspect="if [ -e noticed ]; then echo false 3; else echo true 0; fi")
    guest.program("sleep", f'touch "{guest.root}/noticed"')
    done = wait_for_end(guest)
    assert (done.returncode, done.text) == (0, "3\n")


def test_an_end_that_the_runtime_does_not_notice_is_an_error(tmp_path: Path) -> None:
    guest = ContainerGuest(tmp_path)
    guest.runtime(inspect="echo true 0")
    done = wait_for_end(guest)
    assert (done.returncode, done.text) == (4, "")


def test_a_container_that_still_runs_at_the_limit_has_no_exit_code(guest: ContainerGuest) -> None:
    count_seconds(guest)
    done = wait_for_end(guest, 3)
    assert (done.returncode, done.text, guest.runtime_calls.count("docker")) == (
        1,
        "it still runs after 3 seconds\n",
        0,
    )


def test_a_runtime_that_does_not_know_the_exit_code_is_an_error(tmp_path: Path) -> None:
    guest = ContainerGuest(tmp_path)
    guest.runtime(inspect="exit 125")
    assert wait_for_end(guest).returncode == 125


# --- tcp ------------------------------------------------------------------------------------------

LISTENS, ESTABLISHED, SYN_RECEIVED, FIN_WAIT, CLOSE_WAIT, TIME_WAIT = "0A", "01", "03", "05", "08", "06"
ANY, OWN, PEER = "00000000", "020011AC", "010011AC"
"""Addresses as the kernel writes them: 0.0.0.0, 172.17.0.2, 172.17.0.1."""
LOOPBACK, ANY6, LOOPBACK6 = "0100007F", "0" * 32, "0" * 24 + "01000000"


def row(state: str, address: str = OWN, port: int = 5432, *, peer: str = PEER, inode: int = 0) -> str:
    """A row of /proc/PID/net/tcp."""
    remote = f"{peer}:{0 if state == LISTENS else 40000:04X}"
    counters = "00000000:00000000 00:00000000 00000000     0        0"
    return f"   0: {address}:{port:04X} {remote} {state} {counters} {inode} 1 0000000000000000 100 0 0 10 0\n"


LISTENER = row(LISTENS, ANY, peer=ANY, inode=900)


@pytest.fixture
def port() -> Iterator[int]:
    """A port of this machine that accepts connections, as Docker's proxy does."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def served(guest: ContainerGuest) -> ContainerGuest:
    """A guest with a container of its own network, whose main process 77 has the socket 900."""
    for pid, namespace in ((77, "container"), (76, "guest")):
        add_process(guest, pid, namespace)
    socket_of(guest, 77, 900)
    guest.write("/namespaces/network-guest", "")
    guest.write("/namespaces/network-container", "")
    link(guest, "/proc/self/ns/net", "/namespaces/network-guest")
    link(guest, "/proc/77/ns/net", "/namespaces/network-container")
    return guest


def link(guest: ContainerGuest, place: str, target: str) -> None:
    path = guest.path(place)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to(guest.path(target))


def add_process(guest: ContainerGuest, pid: int, namespace: str) -> None:
    guest.path(f"/proc/{pid}/fd").mkdir(parents=True, exist_ok=True)
    guest.write(f"/namespaces/mount-{namespace}", "")
    link(guest, f"/proc/{pid}/ns/mnt", f"/namespaces/mount-{namespace}")


def socket_of(guest: ContainerGuest, pid: int, inode: int) -> None:
    guest.path(f"/proc/{pid}/fd/3").symlink_to(f"socket:[{inode}]")


def connect(guest: ContainerGuest, port: int, table: str, *, table6: str = "", wait: bool = False) -> str:
    """The answer of the script, with the sockets of the container's network."""
    header = (
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    )
    guest.write("/proc/77/net/tcp", header + table)
    guest.write("/proc/77/net/tcp6", header + table6)
    return tried(guest, port, wait=wait)


def tried(guest: ContainerGuest, port: int, *, wait: bool = False, limit: int = 60, pid: int = 77) -> str:
    done = guest.run(
        script_argv("container/tcp", str(port), "5432", str(limit), "1" if wait else "0", str(pid))
    )
    answer = done.text.removesuffix("\n")
    assert (done.returncode, done.error_text) == (0 if answer == "accepted" else 1, "")
    return answer


@pytest.mark.parametrize("state", [ESTABLISHED, FIN_WAIT, CLOSE_WAIT])
def test_a_connection_that_reaches_a_process_of_the_container_is_accepted(
    served: ContainerGuest, port: int, state: str
) -> None:
    assert connect(served, port, LISTENER + row(state)) == "accepted"


def test_a_server_of_ipv6_also_accepts_connections_of_ipv4(served: ContainerGuest, port: int) -> None:
    own, peer = (f"{'0' * 16}FFFF0000{address}" for address in (OWN, PEER))
    table6 = row(LISTENS, ANY6, peer=ANY6, inode=900) + row(ESTABLISHED, own, peer=peer)
    assert connect(served, port, "", table6=table6) == "accepted"


def test_a_proxy_that_accepts_although_nothing_listens_in_the_container(
    served: ContainerGuest, port: int
) -> None:
    assert connect(served, port, row(ESTABLISHED)) == "silent"


@pytest.mark.parametrize("connection", ["", row(TIME_WAIT), row(ESTABLISHED, port=5433)])
def test_a_proxy_that_accepts_a_connection_which_does_not_reach_the_container(
    served: ContainerGuest, port: int, connection: str
) -> None:
    assert connect(served, port, LISTENER + connection) == "elsewhere"


PROXY = "   0: 0100007F:{port} 0100007F:A000 01 \n"
"""The end that Docker's proxy has of the connection from the guest."""


def test_a_server_that_defers_the_connection_is_reached_if_the_proxys_end_is_complete(
    served: ContainerGuest, port: int
) -> None:
    """Apache waits for data (TCP_DEFER_ACCEPT), so its end stays incomplete."""
    ends = f"   1: {PEER}:9C40 {OWN}:1538 01 \n"
    served.write("/proc/net/tcp", PROXY.format(port=f"{port:04X}") + ends)
    assert connect(served, port, LISTENER + row(SYN_RECEIVED)) == "accepted"


def test_a_server_of_ipv6_may_defer_the_connection(served: ContainerGuest, port: int) -> None:
    own, peer = (f"{'0' * 16}FFFF0000{address}" for address in (OWN, PEER))
    ends = f"   1: {PEER}:9C40 {OWN}:1538 01 \n"
    served.write("/proc/net/tcp", PROXY.format(port=f"{port:04X}") + ends)
    table6 = row(LISTENS, ANY6, peer=ANY6, inode=900) + row(SYN_RECEIVED, own, peer=peer)
    assert connect(served, port, "", table6=table6) == "accepted"


def test_without_a_proxy_the_guests_own_end_is_complete(served: ContainerGuest, port: int) -> None:
    """Podman's firewall rules send the connection to the container, so no process of the guest has an end."""
    served.write("/proc/net/tcp", "")
    assert connect(served, port, LISTENER + row(SYN_RECEIVED)) == "accepted"


@pytest.mark.parametrize(
    "other", ["", f"   1: {PEER}:9C40 {OWN}:1538 02 \n", f"   1: {PEER}:9C41 {OWN}:1538 01 \n"]
)
def test_a_proxy_whose_connection_is_incomplete_does_not_reach_the_container(
    served: ContainerGuest, port: int, other: str
) -> None:
    served.write("/proc/net/tcp", PROXY.format(port=f"{port:04X}") + other)
    assert connect(served, port, LISTENER + row(SYN_RECEIVED)) == "elsewhere"


@pytest.mark.parametrize(
    "own", [LOOPBACK, "0200007F", LOOPBACK6, "0" * 16 + "FFFF0000" + LOOPBACK], ids=str.lower
)
def test_a_connection_within_the_container_is_not_that_of_the_guest(
    served: ContainerGuest, port: int, own: str
) -> None:
    assert connect(served, port, LISTENER + row(ESTABLISHED, own, peer=own)) == "elsewhere"


def test_an_address_that_only_ends_like_the_loopback_is_no_loopback(
    served: ContainerGuest, port: int
) -> None:
    assert connect(served, port, LISTENER + row(ESTABLISHED, "7F00000A")) == "accepted"  # 10.0.0.127


def test_a_container_with_the_guests_network_is_reached_over_the_loopback(
    served: ContainerGuest, port: int
) -> None:
    link(served, "/proc/77/ns/net", "/namespaces/network-guest")
    assert connect(served, port, LISTENER + row(ESTABLISHED, LOOPBACK, peer=LOOPBACK)) == "accepted"


def test_a_socket_of_the_guest_is_not_the_containers(served: ContainerGuest, port: int) -> None:
    """With the guest's network, or a pod's, the table also has the sockets of other processes."""
    socket_of(served, 76, 90)
    assert connect(served, port, row(LISTENS, ANY, peer=ANY, inode=90) + row(ESTABLISHED)) == "silent"


@pytest.mark.parametrize(("members", "answer"), [("77\n78\n", "accepted"), ("77\n", "silent")])
def test_the_processes_of_a_service_in_the_guests_namespaces_are_those_of_its_cgroup(
    served: ContainerGuest, port: int, members: str, answer: str
) -> None:
    link(served, "/proc/77/ns/net", "/namespaces/network-guest")
    for pid in (1, 77, 78):
        add_process(served, pid, "guest")
    socket_of(served, 78, 901)
    served.write("/proc/77/cgroup", "0::/system.slice/web.service\n")
    served.write("/sys/fs/cgroup/system.slice/web.service/cgroup.procs", members)
    table = row(LISTENS, ANY, peer=ANY, inode=901) + row(ESTABLISHED, LOOPBACK, peer=LOOPBACK)
    assert connect(served, port, table) == answer


def test_a_second_process_of_the_container_may_listen(served: ContainerGuest, port: int) -> None:
    add_process(served, 78, "container")
    socket_of(served, 78, 901)
    table = row(LISTENS, ANY, peer=ANY, inode=901) + row(ESTABLISHED)
    assert connect(served, port, table) == "accepted"


@pytest.mark.parametrize(
    "listener", [row(LISTENS, ANY, 5433, peer=ANY, inode=900), row(CLOSE_WAIT, inode=900)]
)
def test_another_socket_of_the_container_does_not_listen_on_the_port(
    served: ContainerGuest, port: int, listener: str
) -> None:
    assert connect(served, port, listener + row(ESTABLISHED)) == "silent"


def test_a_port_of_the_guest_that_accepts_nothing_is_reported(served: ContainerGuest, port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = server.getsockname()[1]
    assert connect(served, closed, LISTENER + row(ESTABLISHED)) == "refused"


def test_a_connection_that_hangs_is_refused(served: ContainerGuest, port: int) -> None:
    served.program("timeout", "exit 124")
    assert connect(served, port, LISTENER) == "refused"


def test_a_guest_without_bash_is_an_error(served: ContainerGuest, port: int) -> None:
    served.program("timeout", "exit 127")
    served.write("/proc/77/net/tcp", LISTENER)
    assert served.run(script_argv("container/tcp", str(port), "5432", "9", "0", "77")).returncode == 127


def test_a_container_that_has_ended_accepts_nothing(served: ContainerGuest, port: int) -> None:
    assert tried(served, port, wait=True, pid=79) == "ended"


def test_a_container_that_ends_is_not_awaited(served: ContainerGuest, port: int) -> None:
    served.program("sleep", f'rm -rf "{served.root}/proc/77"')
    assert connect(served, port, "", wait=True) == "ended"


def test_a_server_is_awaited_while_the_container_runs(served: ContainerGuest, port: int) -> None:
    served.write("/later", LISTENER + row(ESTABLISHED))
    served.program("sleep", f'cp "{served.root}/later" "{served.root}/proc/77/net/tcp"')
    assert connect(served, port, "", wait=True) == "accepted"


def test_a_server_is_not_awaited_unless_the_step_says_so(served: ContainerGuest, port: int) -> None:
    assert connect(served, port, "") == "silent"
    assert served.called == []


def test_no_connection_is_tried_after_the_limit(served: ContainerGuest, port: int) -> None:
    count_seconds(served)
    connect(served, port, "")
    assert tried(served, port, wait=True, limit=3) == "silent"
    assert served.called.count("sleep 0.2") == 2
