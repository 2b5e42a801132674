"""Commands other than `run` against a guest that answers one of its queries with garbage.

The number of a command's queries is counted with correct answers. Each query is then answered with garbage.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from selab.__main__ import run
from selab.errors import Unreachable
from selab.guest import RUN_TIMEOUT, Completed, script
from selab.progress import Progress
from selab.project import Project
from selab.vm import provision, rescue
from tests.unit.fakes import STORE, FakeGuest
from tests.unit.garbage import GARBAGE, assert_three_lines

NO_SUCH_CODE = 77
INSPECTED = '[{"Config": {"ExposedPorts": {"80/tcp": {}}, "Volumes": null, "User": "web"}}]'


class HostileGuest(FakeGuest):
    """Answers the query with the number `target` with garbage, and with a code that no program has."""

    def __init__(self, target: int, garbage: Callable[[str], str]) -> None:
        super().__init__()
        self._target, self._garbage = target, garbage
        steps = provision.steps("apt")
        self.answer("cat", provision.STAMP, out=provision.ready_stamp())
        self.answer(script("policy/guest/policy-state"), out="1 3\n")
        self.answer(script("policy/survey"), out=STORE)
        self.answer(script("policy/guest/is-installed"), code=1)
        self.answer(script("doctor/facts"), out="kernel\tLinux 6.12\n")
        self.answer(script("container/has-program"), "docker")
        self.answer(script("container/has-program"), code=1)
        self.answer(script("vm/restore-base"))
        self.answer("docker info", out='["name=selinux"]\n')
        self.answer("docker version", out="28\n")
        self.answer(script("vm/package-tools"), out="/usr/bin/apt-get\n")
        self.answer(script("vm/probe"), out="present\n" * len(steps))
        self.answer(script("vm/check-guest"))
        self.answer("auditctl", out="enabled 1\npid 400\nlost 0\n")
        self.answer("docker image inspect", out=INSPECTED)

    def run(
        self,
        argv: Sequence[str],
        *,
        input: bytes = b"",
        timeout: float = RUN_TIMEOUT,
        limit: int | None = None,
    ) -> Completed:
        number = len(self.commands)
        done = super().run(argv, input=input, timeout=timeout, limit=limit)
        if number != self._target:
            return done
        text = self._garbage(done.text or "pid 1\n").encode(errors="surrogateescape")
        return Completed(done.argv, NO_SUCH_CODE if not done.stdout else done.returncode, text, text)

    def __enter__(self) -> HostileGuest:
        return self

    def __exit__(self, *_: object) -> None: ...


class Machine:
    """A machine that is up, with the guest. What a command does besides that fails loudly."""

    managed = False

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


COMMANDS = {
    # Each command with the number of its queries, and its exit code if every answer is right.
    "doctor": (("doctor",), 6, 0),
    "report": (("doctor", "--report"), 14, 0),
    "up": (("vm", "up"), 2, 0),
    "rescue": (("vm", "rescue"), 1, 0),
    "uninstall": (("uninstall", "web"), 3, 2),
    "policy": (("new", "policy", "other", "--for", "registry.test/x:1"), 1, 0),
}
CASES = [(command, number) for command, (_, queries, _) in COMMANDS.items() for number in range(queries)]
Selab = Callable[..., tuple[int, HostileGuest]]


@pytest.fixture
def selab(project: Project, monkeypatch: pytest.MonkeyPatch) -> Selab:
    """Run a command against a guest: selab("doctor", 0, garbage) spoils its first query."""

    def selab(command: str, target: int, garbage: Callable[[str], str]) -> tuple[int, HostileGuest]:
        guest = HostileGuest(target, garbage)
        for place in ("selab.vm.select", "selab.doctor.examine", "selab.doctor.support_report"):
            monkeypatch.setattr(f"{place}.machine_of", lambda _: Machine(guest))
        return run(["-C", str(project.root), *COMMANDS[command][0]]), guest

    monkeypatch.setenv("SELAB_CACHE", str(project.root / "cache"))
    monkeypatch.setattr("selab.doctor.support_report._of_host", dict)
    for name in ("PATIENCE", "BOOTED", "RETRY"):
        monkeypatch.setattr(rescue, name, 0.0)
    (project.policies / "web.te").write_text("policy_module(web, 1.0)\n")
    return selab


@pytest.mark.parametrize("command", COMMANDS)
def test_these_are_the_queries_of_a_command(selab: Selab, command: str) -> None:
    code, guest = selab(command, -1, str)
    assert (code, len(guest.commands)) == (COMMANDS[command][2], COMMANDS[command][1])


@pytest.mark.parametrize("kind", GARBAGE)
@pytest.mark.parametrize(("command", "number"), CASES)
def test_garbage_is_an_error_or_the_commands_own_result(
    selab: Selab, capsys: pytest.CaptureFixture[str], command: str, number: int, kind: str
) -> None:
    """Some garbage is a possible answer. `doctor` reports the rest as a finding, with the exit code 3."""
    code, _ = selab(command, number, GARBAGE[kind])
    errors = capsys.readouterr().err
    assert "Traceback" not in errors and "selab has a fault" not in errors, errors
    assert code in (COMMANDS[command][2], 3)
    if code == 3 and command != "doctor":
        assert_three_lines(errors)
