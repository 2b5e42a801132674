"""Run containers with selab's own templates: what each of them grants works, and the rest is denied."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
import yaml

from selab.project import Project
from selab.run.document import document_of
from selab.run.experiment import Run
from selab.run.verdict import Verdict
from selab.vm.ssh import SshGuest

Runner = Callable[..., Run]
VOLUMES = {
    "log": ("/var/log/selab-try", "var_log_t"),
    "home": ("/home/selab-try", "user_home_t"),
    "tmp": ("/tmp/selab-try", "tmp_t"),
    "config": ("/etc/selab-try", "etc_t"),
}
"""Directories of the guest for the templates that are about one, with their types."""
PREPARE = """
set -e
for each; do
  directory=${each%:*}
  rm -rf "$directory"; mkdir -m 777 "$directory"
  echo text >"$directory/file"; echo text >"$directory/old"; chmod 666 "$directory"/*
  chcon -R -t "${each#*:}" "$directory"
done
"""
SERVE = """
import os, socket, sys
terminal, slave = os.openpty()
os.system(f"chcon -t {sys.argv[1]} {os.ttyname(slave)}; chmod 666 {os.ttyname(slave)}")
os.symlink(os.ttyname(slave).rpartition("/")[2], "/srv/selab-try/terminal-" + sys.argv[1])
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[2])
server.listen()
server.settimeout(600)
os.chmod(sys.argv[2], 0o666)
os.system("chcon -t " + sys.argv[3] + " " + sys.argv[2])
open(sys.argv[2] + ".ready", "w").close()
if os.fork():
    os._exit(0)
os.setsid()
for number in range(3):
    os.close(number)  # the connection waits for their end
while True:
    connection, _ = server.accept()
    connection.close()
"""
CONNECT = "use IO::Socket::UNIX; exit(IO::Socket::UNIX->new(Peer => shift) ? 0 : 1)"
LISTEN = "use IO::Socket::INET; exit(IO::Socket::INET->new(Listen => 1, LocalPort => shift) ? 0 : 1)"


@dataclass
class Case:
    """A policy of templates, and what a container does with it.

    blocks: the blocks that it inherits besides `container`.
    works: commands that must succeed.
    denied: commands that must fail with a denial.
    volumes: directories of the guest by their places in the container.
    rules: rules of the policy's own.
    """

    blocks: list[str]
    works: list[list[str]]
    denied: list[list[str]]
    volumes: dict[str, str] = field(default_factory=dict)
    rules: str = ""


def directories(level: str, works: str, denied: str) -> Case:
    """Return a case for the templates of the directories at `level`; `{}` in a command is the directory."""
    return Case(
        [f"{name}{level}_container" for name in VOLUMES],
        [["sh", "-c", works.format(f"/{name}")] for name in VOLUMES],
        [["sh", "-c", denied.format(f"/{name}")] for name in VOLUMES],
        {f"/{name}": directory for name, (directory, _) in VOLUMES.items()},
    )


CASES = {
    "read": directories("", "ls {0} && cat {0}/file", "echo more | tee -a {0}/file"),
    "read and write": directories("_rw", "echo more >>{0}/file && echo new >{0}/new", "rm {0}/old"),
    "manage": directories("_manage", "mv {0}/old {0}/older && rm {0}/older", "chcon -t bin_t {0}/file"),
    "nothing": Case(
        [],
        [["true"]],
        [["sh", "-c", f"cat /{name}/file"] for name in VOLUMES if name != "config"],
        {f"/{name}": directory for name, (directory, _) in VOLUMES.items()},
    ),
    "the network": Case(
        ["net_container"],
        [["perl", "-e", LISTEN, port] for port in ("80", "6379")],
        [["cat", "/log/file"]],
        {"/log": VOLUMES["log"][0]},
    ),
    "ports of its own": Case(
        ["restricted_net_container"],
        [["perl", "-e", LISTEN, "8080"]],
        [["perl", "-e", LISTEN, "6379"]],
        rules="(allow process http_cache_port_t (tcp_socket (name_bind)))",
    ),
    "X and the terminal": Case(
        ["x_container", "tty_container"],
        [
            ["perl", "-e", CONNECT, "/try/x"],
            ["sh", "-c", "echo text >/terminals/$(readlink /try/terminal-user_devpts_t)"],
        ],
        [
            ["perl", "-e", CONNECT, "/try/virt"],
            ["sh", "-c", "echo text | tee /terminals/$(readlink /try/terminal-sshd_devpts_t)"],
        ],
        {"/try": "/srv/selab-try", "/terminals": "/dev/pts"},
    ),
    "libvirt": Case(
        ["virt_container"],
        [["perl", "-e", CONNECT, "/try/virt"]],
        [["perl", "-e", CONNECT, "/try/x"]],
        {"/try": "/srv/selab-try", "/terminals": "/dev/pts"},
    ),
}


@pytest.fixture(scope="module")
def prepared(session_guest: SshGuest) -> Iterator[None]:
    """Make the directories, and the sockets and terminals of an X server and of libvirt."""
    directories = [f"{directory}:{label}" for directory, label in VOLUMES.values()]
    session_guest.run(["sh", "-c", PREPARE, "sh", *directories, "/srv/selab-try:var_t"]).expect("prepare")
    for domain, terminal, name, label in (
        ("xserver_t", "user_devpts_t", "x", "xserver_tmp_t"),
        ("virtd_t", "sshd_devpts_t", "virt", "virt_runtime_t"),
    ):
        words = ["python3", "-c", SERVE, terminal, f"/srv/selab-try/{name}", label]
        context = f"system_u:system_r:{domain}:s0"
        session_guest.run(["setsid", "runcon", context, *words], timeout=60).expect("serve")
    yield
    session_guest.run(
        [
            "sh",
            "-c",
            'pkill -f /srv/selab-try/; rm -rf "$@"',
            "sh",
            *(directory for directory, _ in VOLUMES.values()),
            "/srv/selab-try",
        ]
    )


def scenario_of(case: Case) -> str:
    expected = [(argv, 0) for argv in case.works] + [(argv, 1) for argv in case.denied]
    steps = [{"exec": {"argv": argv, "exit": code}} for argv, code in expected]
    volumes = [{"guest_path": source, "target": target} for target, source in case.volumes.items()]
    return yaml.safe_dump(
        {
            "image": "httpd",
            "command": ["sleep", "600"],
            "volumes": volumes,
            "steps": steps,
            "expect": {"denials": "any"},
        }
    )


@pytest.mark.parametrize("case", CASES.values(), ids=[*CASES])
def test_a_template_grants_what_it_says_and_nothing_else(
    project: Project, prepared: None, run: Runner, case: Case
) -> None:
    inherits = "".join(f"    (blockinherit {name})\n" for name in ("container", *case.blocks))
    (project.policies / "tried.cil").write_text(f"(block tried\n{inherits}    {case.rules})\n")
    (project.scenarios / "tried.yaml").write_text(scenario_of(case))
    ended = run("tried", policy="tried")
    assert (ended.verdict, bool(document_of(ended).keys)) == (Verdict.PASS, True), ended.reasons
