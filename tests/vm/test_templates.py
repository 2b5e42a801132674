"""Run containers with selab's own templates: what each of them grants works, and the rest is denied."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
import yaml

from selab.project import Project
from selab.run.conversion import document_of
from selab.run.experiment import Run
from selab.run.verdict import Verdict
from selab.vm.ssh import SshGuest

Runner = Callable[..., Run]
VOLUMES = {
    "log": ("/var/log", "var_log_t", "var_log_t"),
    "home": ("/home", "user_home_dir_t", "user_home_t"),
    "tmp": ("/tmp", "tmp_t", "tmp_t"),
    "config": ("/etc", "etc_t", "etc_t"),
}
"""Directories of the guest, each with the types of a directory in it and of the files in that one."""
TRIED = "selab-try"
PREPARE = """
set -e
while [ $# -gt 0 ]; do
  rm -rf "$1"; mkdir -m 777 "$1"
  echo text >"$1/file"; echo text >"$1/old"; chmod 666 "$1"/*
  chcon -R -t "$3" "$1"; chcon -t "$2" "$1"
  shift 3
done
"""
SERVE = """
import os, socket, sys, time
domain, label, terminal_label, *directories = sys.argv[1:]
terminal, slave = os.openpty()
path = os.ttyname(slave)
print(path, flush=True)
os.system(f"chcon -t {terminal_label} {path}; chmod 666 {path}")
servers = []
for directory in directories:
    server = socket.socket(socket.AF_UNIX)
    server.bind(f"{directory}/{domain}")
    server.listen()
    servers.append(server)
    os.system(f"chcon -t {label} {directory}/{domain}; chmod 666 {directory}/{domain}")
if os.fork():
    os._exit(0)
os.setsid()
for number in range(3):
    os.close(number)  # the connection waits for their end
time.sleep(1200)
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
        [["sh", "-c", works.format(f"/host/{name}/{TRIED}")] for name in VOLUMES],
        [["sh", "-c", denied.format(f"/host/{name}/{TRIED}")] for name in VOLUMES],
        {f"/host/{name}": directory for name, (directory, *_) in VOLUMES.items()},
    )


CASES = {
    "read": directories("", "ls {0} && cat {0}/file", "echo more | tee -a {0}/file"),
    "read and write": directories("_rw", "echo more >>{0}/file && echo new >{0}/new", "rm {0}/old"),
    "manage": directories("_manage", "mv {0}/old {0}/older && rm {0}/older", "chcon -t bin_t {0}/file"),
    "temporary files alone": Case(
        ["tmp_container"],
        [["cat", f"/host/tmp/{TRIED}/file"]],
        [["tee", "-a", f"/host/tmp/{TRIED}/file"], ["perl", "-e", LISTEN, "80"]],
        {"/host/tmp": "/tmp"},
    ),
    "the network": Case(
        ["net_container"],
        [["perl", "-e", LISTEN, port] for port in ("80", "6379")],
        [["cat", f"/host/tmp/{TRIED}/file"]],
        {"/host/tmp": "/tmp"},
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
            ["perl", "-e", CONNECT, "/try/xserver_t"],
            ["sh", "-c", "echo text >USERS_TERMINAL"],
        ],
        [
            ["perl", "-e", CONNECT, "/try/virtd_t"],
            ["sh", "-c", "echo text | tee OTHER_TERMINAL"],
        ],
        {"/try": "/srv/selab-try/x", "/host/dev/pts": "/dev/pts"},
        "(allow dockerd_t devpts_t (dir (mounton)))",
    ),
    "libvirt": Case(
        ["virt_container"],
        [["perl", "-e", CONNECT, "/try/virtd_t"]],
        [["perl", "-e", CONNECT, "/try/xserver_t"]],
        {"/try": "/srv/selab-try/virt"},
    ),
}
IN_CI = ("manage", "ports of its own", "X and the terminal")
"""Cases that are not slow tests: with the blocks that they inherit, they are about most templates."""
PARAMETERS = [
    pytest.param(case, id=name, marks=[] if name in IN_CI else [pytest.mark.slow])
    for name, case in CASES.items()
]
SOCKETS = {"x": "xserver_tmp_t", "virt": "virt_runtime_t"}
"""Directories of sockets, with their types."""
SERVERS = {
    "USERS_TERMINAL": ("xserver_t", "xserver_tmp_t", "user_devpts_t"),
    "OTHER_TERMINAL": ("virtd_t", "virt_runtime_t", "sshd_devpts_t"),
}
"""Domains of servers, with the types of their sockets and of a terminal that they open: in commands, the keys
stand for its path."""


@pytest.fixture(scope="module")
def terminals(project: Project, session_guest: SshGuest) -> Iterator[dict[str, str]]:
    """Make the directories, sockets and terminals, and yield the paths of the terminals in a container."""
    paths = {}
    session_guest.run(["mkdir", "-p", "/srv/selab-try"]).expect("mkdir")
    words = [word for place, *types in VOLUMES.values() for word in (f"{place}/{TRIED}", *types)]
    words += [word for name, type_ in SOCKETS.items() for word in (f"/srv/selab-try/{name}", type_, type_)]
    session_guest.run(["sh", "-c", PREPARE, "sh", *words]).expect("prepare")
    for name, server in SERVERS.items():
        argv = ["runcon", f"system_u:system_r:{server[0]}:s0", "python3", "-c", SERVE, *server]
        argv += [f"/srv/selab-try/{directory}" for directory in SOCKETS]
        paths[name] = "/host" + session_guest.run(["setsid", *argv], timeout=60).expect("serve").text.strip()
    yield paths
    made = [f"{place}/{TRIED}" for place, *_ in VOLUMES.values()]
    script = 'pkill -f /srv/selab-try/; rm -rf "$@"'
    session_guest.run(["sh", "-c", script, "sh", *made, "/srv/selab-try"])
    for path in (project.policies / "tried.cil", project.scenarios / "tried.yaml"):
        path.unlink(missing_ok=True)


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


@pytest.mark.parametrize("case", PARAMETERS)
def test_a_template_grants_what_it_says_and_nothing_else(
    project: Project, terminals: dict[str, str], run: Runner, case: Case
) -> None:
    scenario = scenario_of(case)
    for name, path in terminals.items():
        scenario = scenario.replace(name, path)
    inherits = "".join(f"    (blockinherit {name})\n" for name in ("container", *case.blocks))
    (project.policies / "tried.cil").write_text(f"(block tried\n{inherits}    {case.rules})\n")
    (project.scenarios / "tried.yaml").write_text(scenario)
    ended = run("tried", policy="tried")
    assert (ended.verdict, bool(document_of(ended).keys)) == (Verdict.PASS, True), ended.reasons
