"""What a run sends to the guest, in which order and round trips, and what it undoes after a fault."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from selab.errors import SelabError, Unreachable
from selab.guest import RUN_TIMEOUT, Completed, Guest, script
from selab.policy.compile import CompiledModule, KernelPolicy
from selab.policy.guest.load import Mode
from selab.progress import Progress
from selab.project import Project
from selab.run import experiment
from selab.run.recovery import LockedOut
from selab.run.request import Request, RunOptions
from tests.unit.fakes import LABEL, STORE, ReadyMachine, keep_base

STATUS = "enabled 1\npid 400\nlost 0\n"
JOURNAL = "enabled 1\npid 0\nlost 0\ncursor here\nratelimit 5\n"
SCRIPTS = {
    script(path): name
    for path, name in {
        "policy/survey": "survey",
        "policy/same-store": "same store",
        "policy/guest/restore-labels": "restore labels",
        "service/restore": "restore services",
        "service/missing-packages": "missing packages",
        "service/start": "start service",
        "service/stop": "stop service",
        "policy/guest/find-changes": "drift",
        "policy/guest/accept-settings": "settle drift",
        "policy/guest/flush-cache": "flush",
        "policy/guest/load": "load",
        "policy/guest/load-base": "load base",
        "policy/guest/label-files": "label files",
        "policy/guest/switch-mode": "switch mode",
        "policy/guest/restore-mode": "restore mode",
        "auditlog/open-window": "open window",
        "auditlog/close-window": "close window",
        "auditlog/close-journal-window": "close window",
        "auditlog/restore-ratelimit": "release window",
        "container/start": "start container",
        "container/end": "end container",
        "container/await-removal": "await removal",
        "container/keep": "keep container",
    }.items()
}
PARTS = re.compile(r"part\(\) \{\n(.*?)\n\}\n\( part (.*?)\)", re.DOTALL)
JOINED = " + "
TOGETHER = "same store + await removal + restore labels + restore services + drift + open window + flush"
WORKLOAD = ["start container", "before steps", "step", "after steps", "end container"]
FAILED = ["start container", "before steps", "step", "after steps", "log", "end container"]
CLOSE = ["close window", "await removal + restore mode"]


def name_of(argv: Sequence[str]) -> str:
    """Return what a command is for."""
    return SCRIPTS[argv[2]] if argv[0] == "sh" else {"timeout": "step", "docker": "log"}[argv[0]]


@dataclass
class Recorder:
    """A guest that notes what each command is for. A plus joins the commands of one round trip.

    answers: exit codes and outputs by what a command is for.
    fault: what fails: its name, its number among the commands of that name, and its exit code, or None if
        the connection breaks.
    purposes: what each command was for.
    counts: the number of commands so far by what they are for.
    mark: the mark that opened the audit window.
    """

    answers: dict[str, tuple[int, str]] = field(default_factory=dict)
    fault: tuple[str, int, int | None] = ("", 1, None)
    purposes: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    mark: str = ""

    def run(
        self,
        argv: Sequence[str],
        *,
        input: bytes = b"",
        timeout: float = RUN_TIMEOUT,
        limit: int | None = None,
    ) -> Completed:
        parts = PARTS.findall(argv[2]) if argv[0] == "sh" else []
        if not parts:
            self.purposes.append(name_of(argv))
            return self._answer(argv)
        commands = [
            ["sh", "-c", text, "sh", *(argv[3 + int(place)] for place in re.findall(r"\d+", places))]
            for text, places in parts
        ]
        self.purposes.append(JOINED.join(map(name_of, commands)))
        token, out, err = argv[4].encode(), b"", b""
        for command in commands:
            done = self._answer(command)
            out += done.stdout + b"%b %d\n" % (token, done.returncode)
            err += done.stderr + token + b"\n"
            if done.returncode:
                break
        return Completed(tuple(argv), 0, out, err)

    def _answer(self, argv: Sequence[str]) -> Completed:
        name = name_of(argv)
        self.counts[name] += 1
        code, output = self.answers.get(name) or (0, self._output(name, argv))
        if (name, self.counts[name]) == self.fault[:2]:
            if self.fault[2] is None:
                raise Unreachable("The connection broke.")
            code, output = self.fault[2], ""
        return Completed(tuple(argv), code, output.encode(), b"")

    def _output(self, name: str, argv: Sequence[str]) -> str:
        if name == "open window":
            self.mark = argv[4]
        if name == "close window":
            marks = (
                f"type=USER msg=audit(1.1:{serial}): {mark}\n"
                for serial, mark in ((1, self.mark), (2, argv[4]))
            )
            return f"{STATUS}mode 1\nwindow\n{''.join(marks)}"
        return {
            "survey": STORE,
            "open window": f"{STATUS}log 77 1000\n",
            "start container": f"pid 123\nlabel {LABEL}\nend\n",
            "label files": "\nlabelled\n",
            "end container": "runs\nend\n",
            "keep container": "runs\nend\n",
        }.get(name, "")

    def put(self, data: bytes, path: str, *, mode: int = 0o644) -> None:
        raise AssertionError(f"nothing is put into this guest: {path}")

    def get(self, path: str) -> bytes:
        raise AssertionError(f"nothing is got from this guest: {path}")

    def close(self) -> None:
        self.purposes.append("close")


class RecordedMachine(ReadyMachine):
    """A machine that notes its own actions among the guest's commands."""

    guest: Recorder  # type: ignore[assignment]
    refuses = False

    def ensure_runtime(self, guest: Guest, runtime: str, progress: Progress) -> None:
        self.guest.purposes.append("ensure runtime")

    def rescue(self, progress: Progress) -> str:
        self.guest.purposes.append("rescue")
        return ""

    def try_login(self) -> None:
        self.guest.purposes.append("try login")
        if self.refuses:
            raise Unreachable("Logging in failed.")


DOMAIN = "(type web_t)\n"
REACHES = "(typetransition sshd_t shell_exec_t process web_t)\n"
LABELS_FILES = '(filecon "/srv/web(/.*)?" any (u r web_t ((s0) (s0))))\n'
Player = Callable[..., Recorder]


@pytest.fixture
def play(project: Project, monkeypatch: pytest.MonkeyPatch) -> Player:
    """A run: play(cil, mode="permissive") returns the guest, however the run ended.

    `cil` is the candidate, if there is one.
    """
    keep_base(project.root / "cache")
    monkeypatch.setenv("SELAB_CACHE", str(project.root / "cache"))
    monkeypatch.setattr("selab.run.context.random_level", lambda: "s0:c1,c2")
    monkeypatch.setattr(
        "selab.policy.candidate.linked", lambda *_, **__: KernelPolicy(b"policy", "digest", "")
    )

    def play(
        cil: str = "",
        *,
        mode: str = "enforcing",
        keep: bool = False,
        managed: bool = True,
        refuses: bool = False,
        interrupted: str = "",
        **recorder: Any,
    ) -> Recorder:
        guest = Recorder(**recorder)
        machine = RecordedMachine(guest)  # type: ignore[arg-type]
        machine.managed, machine.refuses = managed, refuses
        compiled = CompiledModule("web", cil, frozenset({"web_t"}))
        monkeypatch.setattr("selab.policy.candidate.compiled", lambda *_: compiled)
        (project.policies / "web.te").write_text("policy_module(web, 1.0)\n")
        scenario = {"image": "registry.test/x:1", "steps": [{"guest": {"argv": ["true"]}}]}
        (project.scenarios / "web.yaml").write_text(json.dumps(scenario))

        def hook(name: str) -> None:
            guest.purposes.append(name)
            if name == interrupted:
                raise KeyboardInterrupt

        request = Request("web", "web" if cil else None, Mode(mode), keep)
        options = RunOptions(lambda _: hook("before steps"), lambda: hook("after steps"))
        try:
            experiment.run(project, machine, request, Progress(), options)
        except (SelabError, KeyboardInterrupt) as error:
            guest.purposes.append(type(error).__name__)
        return guest

    return play


OTHER_POLICY = {"flush": (7, "")}
EDITED = {"drift": (0, "settings\n")}
SEQUENCES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "the policy is in force already": (
        {},
        ["survey", f"{TOGETHER} + switch mode", *WORKLOAD, *CLOSE],
    ),
    "permissive": (
        {"mode": "permissive"},
        ["survey", f"{TOGETHER} + switch mode", *WORKLOAD, *CLOSE],
    ),
    "another policy is in force": (
        {"cil": DOMAIN, "answers": OTHER_POLICY},
        ["survey", f"{TOGETHER} + switch mode", "load + switch mode", *WORKLOAD, *CLOSE],
    ),
    "a host that selab does not manage": (
        {"managed": False},
        ["survey", f"{TOGETHER} + switch mode", *WORKLOAD, *CLOSE, "load base"],
    ),
    "a host that selab does not manage, kept": (
        {"managed": False, "keep": True},
        [
            "survey",
            f"{TOGETHER} + switch mode",
            *WORKLOAD[:-1],
            "keep container",
            "close window",
            "restore mode",
        ],
    ),
    "a host that selab does not manage, with other settings": (
        {"managed": False, "answers": EDITED},
        ["survey", f"{TOGETHER} + switch mode", *WORKLOAD, *CLOSE, "load base"],
    ),
    "files are labelled before the guest enforces": (
        {"cil": DOMAIN + LABELS_FILES},
        ["survey", TOGETHER, "label files", "switch mode", "try login", *WORKLOAD, *CLOSE, "restore labels"],
    ),
    "files are labelled in a permissive guest": (
        {"cil": DOMAIN + LABELS_FILES, "mode": "permissive"},
        ["survey", f"{TOGETHER} + switch mode", "label files", *WORKLOAD, *CLOSE, "restore labels"],
    ),
    "nothing there to label": (
        {"cil": DOMAIN + LABELS_FILES, "answers": {"label files": (0, "")}},
        ["survey", TOGETHER, "label files", "switch mode", *WORKLOAD, *CLOSE],
    ),
    "the candidate reaches beyond its types": (
        {"cil": DOMAIN + REACHES},
        ["survey", f"{TOGETHER} + switch mode", "try login", *WORKLOAD, *CLOSE, "load base"],
    ),
    "the runtime's settings were edited": (
        {"answers": EDITED},
        ["survey", f"{TOGETHER} + switch mode", "ensure runtime", "settle drift", *WORKLOAD, *CLOSE],
    ),
    "the records come from the journal": (
        {"answers": {"open window": (0, JOURNAL)}},
        ["survey", f"{TOGETHER} + switch mode", *WORKLOAD, *CLOSE, "release window"],
    ),
    "it fails without a denial": (
        {"cil": DOMAIN, "answers": {"step": (1, "")}},
        [
            *("survey", f"{TOGETHER} + switch mode", *FAILED, *CLOSE),
            *(f"{TOGETHER} + switch mode", *FAILED, *CLOSE),
            "flush",
        ],
    ),
    "it fails without a denial under another policy": (
        {"cil": DOMAIN + LABELS_FILES, "answers": {"step": (1, ""), **OTHER_POLICY}},
        [
            *("survey", TOGETHER, "load", "label files", "switch mode", "try login"),
            *(*FAILED, *CLOSE, "restore labels"),
            *(TOGETHER, "load", "label files", "switch mode", "try login", *FAILED, *CLOSE, "restore labels"),
            *("flush", "load"),
        ],
    ),
    "the store changed": (
        {"fault": ("same store", 1, 1)},
        [
            *("survey", f"{TOGETHER} + switch mode", "restore mode"),
            *("survey", f"{TOGETHER} + switch mode", *WORKLOAD, *CLOSE),
        ],
    ),
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_the_order_of_commands_and_the_number_of_round_trips(name: str, play: Player) -> None:
    settings, expected = SEQUENCES[name]
    assert play(**settings).purposes == [*expected, "close"]


EVERYTHING: dict[str, Any] = {
    "cil": DOMAIN + REACHES + LABELS_FILES,
    "answers": {**OTHER_POLICY, **EDITED, "open window": (0, JOURNAL)},
}
"""A run that does everything, and has everything to undo."""
MODE = ["restore mode", "load base"]
WINDOW = ["release window", *MODE]
ALL = ["restore labels", *WINDOW]
REMOVED = "await removal + restore mode"
WITHOUT_MODE = ["restore labels", "release window", "load base"]
BROKEN = ["rescue", "close", "Unreachable"]
FAULTS: dict[tuple[str, int, int | None], list[str]] = {
    ("same store", 1, None): [*MODE, *BROKEN],
    ("open window", 1, None): [*MODE, *BROKEN],
    ("flush", 1, None): [*MODE, *BROKEN],
    ("load", 1, None): [*WINDOW, *BROKEN],
    ("label files", 1, None): [*ALL, *BROKEN],
    ("switch mode", 1, None): [*ALL, *BROKEN],
    ("settle drift", 1, None): [*ALL, *BROKEN],
    ("start container", 1, None): ["end container", REMOVED, *WITHOUT_MODE, *BROKEN],
    ("step", 1, None): ["end container", REMOVED, *WITHOUT_MODE, *BROKEN],
    ("end container", 1, None): [REMOVED, *WITHOUT_MODE, *BROKEN],
    ("close window", 1, None): [REMOVED, *WITHOUT_MODE, *BROKEN],
    ("await removal", 2, None): [*ALL, *BROKEN],
    ("restore mode", 1, None): [*ALL, *BROKEN],
    ("restore labels", 2, None): ["release window", "load base", *BROKEN],
    ("release window", 1, None): ["load base", *BROKEN],
    ("load base", 1, None): BROKEN,
    ("drift", 1, 1): [*MODE, "rescue", "close", "SelabError"],
    ("restore labels", 1, 1): [*MODE, "rescue", "close", "CommandFailed"],
    ("open window", 1, 3): [*MODE, "rescue", "close", "CommandFailed"],
    ("flush", 1, 6): [*WINDOW, "rescue", "close", "CommandFailed"],
    ("load", 1, 5): [*WINDOW, "rescue", "close", "CommandFailed"],
    ("label files", 1, 4): [*ALL, "rescue", "close", "SelabError"],
    ("switch mode", 1, 8): [*ALL, "rescue", "close", "CommandFailed"],
    ("close window", 1, 4): [REMOVED, *WITHOUT_MODE, "close"],
    ("await removal", 2, 1): [*ALL, "rescue", "close", "CommandFailed"],
    ("restore mode", 1, 1): [*ALL, "rescue", "close", "CommandFailed"],
}


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_what_is_undone_after_a_fault(fault: tuple[str, int, int | None], play: Player) -> None:
    purposes = play(**EVERYTHING, fault=fault).purposes
    name, number, _ = fault
    last = [place for place, command in enumerate(purposes) if name in command.split(JOINED)][number - 1]
    assert purposes[last + 1 :] == FAULTS[fault]


def test_a_switch_that_fails_in_the_first_round_trip_undoes_the_window(play: Player) -> None:
    purposes = play(answers={"open window": (0, JOURNAL)}, fault=("switch mode", 1, 1)).purposes
    assert purposes[2:] == ["release window", "restore mode", "rescue", "close", "CommandFailed"]


def test_a_login_that_fails_undoes_everything(play: Player) -> None:
    purposes = play(**EVERYTHING, refuses=True).purposes
    assert purposes[purposes.index("try login") + 1 :] == [*ALL, "rescue", "close", LockedOut.__name__]


@pytest.mark.parametrize("hook", ["before steps", "after steps"])
def test_an_interrupt_undoes_everything(hook: str, play: Player) -> None:
    purposes = play(**EVERYTHING, interrupted=hook).purposes
    assert purposes[purposes.index(hook) + 1 :] == [
        *("end container", REMOVED, *WITHOUT_MODE, "close", "KeyboardInterrupt")
    ]
