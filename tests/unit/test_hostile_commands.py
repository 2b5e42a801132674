"""Commands other than `run` against a guest that answers one of its queries with garbage.

A command with correct answers names its queries. Each query is then answered with garbage of each kind, and
the exit code is that of an ERROR, unless RESULTS names the garbage.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from selab.__main__ import run
from selab.errors import InputError, Unreachable
from selab.guest import script
from selab.progress import Progress
from selab.project import Project
from selab.vm import provision, rescue
from selab.vm.existing import ExistingHost
from tests.unit.fakes import STORE, Answer, FakeGuest, keep_base
from tests.unit.garbage import GARBAGE, assert_three_lines, sample

NO_SUCH_CODE = 77
INSPECTED = '[{"Config": {"ExposedPorts": {"80/tcp": {}}, "Volumes": null, "User": "web"}}]\n'
SCRIPTS = {
    script(name): name.rpartition("/")[2]
    for name in (
        *("policy/guest/policy-state", "policy/survey", "policy/read-store", "doctor/facts"),
        *("policy/guest/is-installed", "policy/guest/install", "policy/guest/uninstall"),
        *("policy/guest/relabel", "container/has-program", "vm/restore-base", "vm/restore-existing"),
        *("vm/package-tools", "vm/probe", "vm/check-guest", "vm/check-existing"),
    )
}
"""The names of the scripts that these commands send, by their text."""

OUTPUTS = {
    "policy-state": "1 3\n",
    "survey": STORE,
    "facts": "kernel\tLinux 6.12\n",
    "package-tools": "/usr/bin/apt-get\n",
}
PROGRAMS = {
    f"cat {provision.STAMP}": provision.ready_stamp() + "\n",
    "docker info": '["name=selinux"]\n',
    "docker version": "28\n",
    "docker image inspect": INSPECTED,
    "auditctl": "enabled 1\npid 400\nlost 0\n",
    "systemctl -q is-enabled selab-guard": "",
}


class HostileGuest(FakeGuest):
    """Answers the query `target` with garbage, and with a code that no program has if it has no output."""

    def __init__(self, target: str = "", garbage: Callable[[str], str] = str) -> None:
        super().__init__()
        self._target, self._garbage = target, garbage
        self.queries: list[str] = []
        self.rules.append(((script("vm/probe"),), lambda argv: (0, "present\n" * len(argv[4:]), "")))
        self.answer(script("container/has-program"), "docker", out="/usr/bin/docker\n")
        self.answer(script("container/has-program"), code=1)
        self.answer(script("policy/read-store"), code=1)
        for text, name in SCRIPTS.items():
            self.answer(text, out=OUTPUTS.get(name, ""))
        for words, out in PROGRAMS.items():
            self.answer(words, out=out)

    def spoil(self, argv: Sequence[str], answer: Answer) -> Answer:
        sent = next((name for text, name in SCRIPTS.items() if text in " ".join(argv[2:3])), "")
        name = sent or " ".join(argv[:2])
        self.queries.append(name)
        if name != self._target:
            return answer
        code, out, _ = answer
        text = self._garbage(out or "pid 1\n")
        return code if out else NO_SUCH_CODE, text, text

    def __enter__(self) -> HostileGuest:
        return self

    def __exit__(self, *_: object) -> None: ...


class Machine:
    """A machine that is up, with the guest. What a command does besides that fails loudly."""

    managed = True

    def __init__(self, guest: HostileGuest) -> None:
        self.guest = guest

    def ensure(self, progress: Progress) -> HostileGuest:
        provision.provision(self.guest, progress, lambda *_: contextlib.nullcontext())
        return self.guest

    def connect(self) -> HostileGuest:
        return self.guest

    def status(self) -> str:
        return "running"

    def location(self) -> str:
        return "root@127.0.0.1:2222"

    def network(self) -> str:
        return ""

    def applied(self) -> list[str]:
        return []

    def vagrant_parameters(self) -> None:
        return None

    def rescue(self, progress: Progress) -> str:
        def no_reset() -> Any:
            raise Unreachable("The VM cannot be reset.")

        return rescue.rescue(rescue.Ways(self.connect, no_reset, "", ""), progress)  # type: ignore[arg-type]


class Host(ExistingHost):
    """An existing host (`box: host`) to which selab is connected."""

    def __init__(self, project: Project, guest: HostileGuest) -> None:
        super().__init__(project, project.config.vm.host)  # type: ignore[arg-type]
        self.guest = guest

    def connect(self, limit: float = 0) -> Any:
        return self.guest

    def location(self) -> str:
        return "root@lab.example.org:22"

    def _is_known(self) -> bool:
        return True


EXAMINED = ["policy-state", "survey", "auditctl -s", "has-program", "docker info"]
PREPARED = ["package-tools", "probe"]
COMMANDS: dict[str, tuple[tuple[str, ...], list[str], int]] = {
    # Each command with its different queries in order, and its exit code if every answer is right.
    "doctor": (("doctor",), EXAMINED, 0),
    "report": (
        ("doctor", "--report"),
        ["facts", "has-program", "docker version", "docker info", *PREPARED, *EXAMINED[:3]],
        0,
    ),
    "up": (("vm", "up"), PREPARED, 0),
    "rescue": (("vm", "rescue"), ["check-guest"], 0),
    "status": (("vm", "status"), [], 0),
    "install": (("install", "web", "--scenario", "web"), [*PREPARED, "survey", "install", "relabel"], 2),
    "uninstall": (("uninstall", "web"), [*PREPARED, "is-installed", "survey", "uninstall", "relabel"], 0),
    "policy": (("new", "policy", "other", "--for", "registry.test/x:1"), ["docker image"], 0),
    "host up": (("vm", "up"), ["check-existing", *PREPARED, "systemctl -q"], 0),
    "host rescue": (("vm", "rescue"), ["check-guest"], 0),
    "host status": (("vm", "status"), [], 0),
    "host doctor": (("doctor",), EXAMINED, 0),
}
READERS = [
    # One command for each reader of an answer: its query gets garbage of each kind.
    *(("doctor", query) for query in ("policy-state", "survey", "auditctl -s", "docker info")),
    *(("up", query) for query in PREPARED),
    ("policy", "docker image"),
]
ONE_KIND = "cut JSON"
"""The garbage for every other query: its reader is tested, or its answer is the exit code."""
CASES = sample((command, query, kind) for command, query in READERS for kind in GARBAGE) + [
    (command, query, ONE_KIND)
    for command, (_, queries, _) in COMMANDS.items()
    for query in queries
    if (command, query) not in READERS and command != "report"
]
UNCHANGED = ("negative numbers", "NUL bytes")
"""Garbage that leaves an answer without spaces as it is."""
POSSIBLE = {
    # Garbage that is a possible answer: the command then ends as with the right one.
    ("doctor", "docker info"): (*UNCHANGED, "not UTF-8"),  # the line names the option
    ("up", "package-tools"): (*UNCHANGED, "duplicate keys"),
    ("up", "probe"): (*UNCHANGED, "wrong order"),
    ("host up", "systemctl -q"): (ONE_KIND,),  # the exit code says whether the host has a guard
}
Selab = Callable[..., tuple[int, HostileGuest]]


@pytest.fixture
def selab(project: Project, monkeypatch: pytest.MonkeyPatch) -> Selab:
    """Run a command against a guest: selab("doctor", "survey", garbage) spoils its query `survey`."""

    def selab(
        command: str, target: str = "", garbage: Callable[[str], str] = str
    ) -> tuple[int, HostileGuest]:
        guest = HostileGuest(target, garbage)
        on_host = command.startswith("host ")
        for place in ("selab.vm.select", "selab.doctor.examine", "selab.doctor.support_report"):
            monkeypatch.setattr(
                f"{place}.machine_of", lambda project: Host(project, guest) if on_host else Machine(guest)
            )
        if on_host:
            (project.root / "selab.yaml").write_text("vm: {box: host, host: {address: lab.example.org}}\n")
        return run(["-C", str(project.root), *COMMANDS[command][0]]), guest

    monkeypatch.setenv("SELAB_CACHE", str(project.root / "cache"))
    keep_base(project.root / "cache")
    monkeypatch.setattr("selab.doctor.support_report._of_host", dict)
    monkeypatch.setattr("selab.workflows.install.compiled_all", lambda *_: [])
    monkeypatch.setattr("selab.workflows.install.package", lambda *_: b"a package")
    places = SimpleNamespace(places=("/srv/web",))
    monkeypatch.setattr("selab.workflows.install.file_contexts", lambda *_: places)
    for name in ("PATIENCE", "BOOTED", "RETRY"):
        monkeypatch.setattr(rescue, name, 0.0)

    def no_run(*_: object) -> None:
        raise InputError("The run begins.", "test_hostile_run.py covers it.")

    monkeypatch.setattr("selab.workflows.install.run_on", no_run)
    (project.policies / "web.te").write_text("policy_module(web, 1.0)\n")
    (project.scenarios / "web.yaml").write_text(json.dumps({"image": "registry.test/x:1", "policy": "web"}))
    return selab


@pytest.mark.parametrize("command", COMMANDS)
def test_these_are_the_queries_of_a_command(selab: Selab, command: str) -> None:
    code, guest = selab(command)
    assert (code, list(dict.fromkeys(guest.queries))) == (COMMANDS[command][2], COMMANDS[command][1])


@pytest.mark.parametrize(("command", "query", "kind"), CASES)
def test_garbage_is_an_error_unless_it_is_a_possible_answer(
    selab: Selab, capsys: pytest.CaptureFixture[str], command: str, query: str, kind: str
) -> None:
    """`doctor` reports garbage as a finding, and its exit code is 3 as well."""
    code, _ = selab(command, query, GARBAGE[kind])
    printed = capsys.readouterr()
    assert "Traceback" not in printed.err and "selab has a fault" not in printed.err, printed.err
    if kind in POSSIBLE.get((command, query), ()):
        assert code == COMMANDS[command][2], printed
        return
    assert code == 3, printed
    if not command.endswith("doctor"):
        assert_three_lines(printed.err)


@pytest.mark.parametrize(
    ("query", "kind"),
    [("facts", "duplicate keys"), *((query, ONE_KIND) for query in ("facts", "has-program", *PREPARED))],
)
def test_a_support_report_says_that_garbage_hid_the_guest(
    selab: Selab, capsys: pytest.CaptureFixture[str], query: str, kind: str
) -> None:
    code, _ = selab("report", query, GARBAGE[kind])
    assert code == 0 and "| not seen | the guest: " in capsys.readouterr().out
