"""Try to reach this machine from the guest and from a container. The network of the VM is closed."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from selab.container.image import find_image
from selab.progress import Progress
from selab.project import Project
from selab.run import experiment
from selab.vm import libvirt
from selab.vm.network import Reach
from selab.vm.ssh import SshGuest
from selab.vm.virtual_machine import VirtualMachine

SECRET = b"a service of this machine\n"
SSH_GATEWAY, SSH_DNS = "10.0.3.2", "10.0.3.3"
OUTER_GATEWAY, OUTER_DNS = "10.0.2.2", "10.0.2.3"
ATTEMPT = 3
"""Seconds for a connection. On this machine it takes a millisecond."""
SERVICE_LIMIT = 900.0
"""Seconds after which the service ends by itself."""

CONNECT = """
import json, socket, sys
port, limit, addresses = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]
answers = {}
for address in addresses:
    try:
        with socket.create_connection((address, port), limit) as connection:
            connection.settimeout(limit)
            answers[address] = connection.recv(100).decode()
    except OSError as error:
        answers[address] = ""
print(json.dumps(answers))
"""
CONNECT_IN_CONTAINER = """
port=$1 limit=$2; shift 2
for address; do
  answer=$(timeout "$limit" bash -c 'exec 3<>"/dev/tcp/$0/$1" && head -n 1 <&3' "$address" "$port")
  echo "$address $answer"
done
"""
GO_AROUND = """
ip link set "$1" up
ip address add 10.0.2.15/24 dev "$1"
ip route add default via 10.0.3.2
"""
GO_BACK = """
ip route del default
ip address del 10.0.2.15/24 dev "$1"
"""
ASK_DNS = """
import socket, sys
query = b"\\0\\1\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\7example\\3com\\0\\0\\1\\0\\1"
for address in sys.argv[2:]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as question:
        question.settimeout(float(sys.argv[1]))
        try:
            question.sendto(query, (address, 53))
            print(address, len(question.recv(512)))
        except OSError:
            pass
"""
"""Prints the addresses that answer. A name server without an upstream refuses, which is an answer too."""


class Service:
    """A service on one address of this machine, which sends SECRET to each client."""

    def __init__(self, address: str) -> None:
        self._listener = socket.create_server((address, 0))
        self._listener.settimeout(SERVICE_LIMIT)
        self.port: int = self._listener.getsockname()[1]
        self.clients = 0
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.clients += 1
            with client:
                client.sendall(SECRET)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service("127.0.0.1")
    yield service
    service.close()


def own_addresses() -> list[str]:
    """Return the addresses of this machine that a guest might try, without the loopback interface."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return []
        return [probe.getsockname()[0]]


def everywhere() -> list[str]:
    return [OUTER_GATEWAY, SSH_GATEWAY, OUTER_DNS, SSH_DNS, *own_addresses(), "fec0::2"]


def reached(answer: str) -> list[str]:
    return sorted(address for address, text in json.loads(answer).items() if text == SECRET.decode())


def from_guest(guest: SshGuest, port: int, *addresses: str) -> list[str]:
    """Return the addresses at which the guest reaches the service."""
    argv = ("python3", "-c", CONNECT, str(port), str(ATTEMPT), *addresses)
    return reached(guest.run(argv).expect("The probe failed.").text)


def from_container(guest: SshGuest, project: Project, port: int, *addresses: str) -> list[str]:
    """Return the addresses at which a container in the guest reaches the service."""
    image = find_image(project, "httpd").reference
    words = ("docker", "run", "--rm", "--entrypoint", "bash", image, "-c", CONNECT_IN_CONTAINER, "bash")
    done = guest.run((*words, str(port), str(ATTEMPT), *addresses), timeout=300)
    lines = [line.partition(" ") for line in done.expect("The container failed.").text.splitlines()]
    assert [address for address, _, _ in lines] == list(addresses)
    return [address for address, _, answer in lines if answer == SECRET.decode().strip()]


def outer_interface(machine: VirtualMachine) -> str:
    ((_, address),) = libvirt.interfaces(machine.files.domain)
    return address


def name_of(guest: SshGuest, address: str) -> str:
    links = json.loads(guest.run(("ip", "-j", "link")).text)
    (name,) = [link["ifname"] for link in links if link.get("address") == address]
    return str(name)


def test_the_probe_reaches_the_service_on_this_machine(service: Service) -> None:
    command = [sys.executable, "-c", CONNECT, str(service.port), str(ATTEMPT), "127.0.0.1"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert (reached(done.stdout), service.clients) == (["127.0.0.1"], 1)


def test_the_guest_does_not_reach_the_loopback_of_this_machine(guest: SshGuest, service: Service) -> None:
    assert from_guest(guest, service.port, *everywhere()) == []
    assert service.clients == 0


def test_the_guest_does_not_reach_a_service_on_all_addresses_of_this_machine(guest: SshGuest) -> None:
    service = Service("0.0.0.0")
    try:
        assert from_guest(guest, service.port, *everywhere()) == []
        assert service.clients == 0
    finally:
        service.close()


def test_root_in_the_guest_cannot_open_the_network(
    machine: VirtualMachine, guest: SshGuest, service: Service
) -> None:
    outer = name_of(guest, outer_interface(machine))
    guest.run(("sh", "-ec", GO_AROUND, "sh", outer)).expect("The guest's addresses could not be changed.")
    try:
        assert from_guest(guest, service.port, *everywhere()) == []
        dns = guest.run(("python3", "-c", ASK_DNS, str(ATTEMPT), SSH_DNS, OUTER_DNS))
        assert dns.expect("The probe failed.").text == ""
    finally:
        guest.run(("sh", "-c", GO_BACK, "sh", outer))
    assert service.clients == 0


def test_a_container_does_not_reach_the_loopback_of_this_machine(
    run: Callable[..., experiment.Run], project: Project, guest: SshGuest, service: Service
) -> None:
    run("apache", "permissive")  # brings the image into the guest
    assert from_container(guest, project, service.port, *everywhere()) == []
    assert service.clients == 0


def test_the_network_is_open_while_selab_downloads_and_closed_afterwards(
    machine: VirtualMachine,
    run: Callable[..., experiment.Run],
    project: Project,
    guest: SshGuest,
    service: Service,
) -> None:
    """This is also the control of the other tests: their probes reach the service if the link is up."""
    run("apache", "permissive")
    with machine.online(guest, Progress()):
        assert machine.network() == Reach.UNKNOWN  # a killed selab leaves this, and the next run closes it
        assert from_guest(guest, service.port, OUTER_GATEWAY, SSH_GATEWAY) == [OUTER_GATEWAY]
        assert from_container(guest, project, service.port, OUTER_GATEWAY) == [OUTER_GATEWAY]
    assert from_guest(guest, service.port, *everywhere()) == []
    assert (service.clients, machine.network()) == (2, Reach.CLOSED)


def test_a_network_that_a_killed_selab_left_open_is_closed_by_the_next(
    machine: VirtualMachine, guest: SshGuest, service: Service
) -> None:
    machine._network._record(Reach.UNKNOWN)
    libvirt.set_links(machine.files.domain, up=True)
    machine.ensure(Progress()).close()
    assert machine.network() == Reach.CLOSED
    assert from_guest(guest, service.port, *everywhere()) == []


def test_ssh_and_published_ports_work_while_the_network_is_closed(
    machine: VirtualMachine, run: Callable[..., experiment.Run]
) -> None:
    machine.try_login()
    finished = run("apache", "permissive")
    assert machine.network() == Reach.CLOSED
    assert finished.outcome.steps and all(step.ok for step in finished.outcome.steps)
