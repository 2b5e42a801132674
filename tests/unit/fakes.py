"""Guests and a machine for unit tests. A request that a fake has no configured answer for fails the test."""

from __future__ import annotations

import json
import re
import struct
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

from selab.errors import CommandFailed
from selab.guest import RUN_TIMEOUT, Completed, Guest, script
from selab.policy import base, survey
from selab.policy.integrity import digests
from selab.progress import Progress

Answer = tuple[int, str, str]
"""The exit code, standard output and standard error of a command."""

SCRIPTS = {
    path if path.startswith("service/") else path.rpartition("/")[2]: script(path)
    for path in (
        *("policy/survey", "policy/same-store", "policy/guest/find-changes", "policy/guest/accept-settings"),
        *("policy/guest/flush-cache", "policy/guest/load-base", "policy/guest/switch-mode"),
        *("policy/guest/restore-mode", "policy/guest/renew-guard", "policy/guest/restore-labels"),
        *("auditlog/open-window", "auditlog/close-window", "container/start", "container/keep"),
        *(
            "container/end",
            "container/await-removal",
            "container/http",
            "container/make-volume",
            "container/read-log",
        ),
        *("container/wait-for-end", "container/await-health", "container/make-network"),
        *("service/missing-packages", "service/start"),
        *("service/stop", "service/restore", "service/wait-for-end"),
        *("container/tcp",),
    )
}
"""The scripts that a run sends to the guest, by name: the only place where a fake recognises them.

A service's script has its package before its name, because a container has scripts of the same names.
"""

STORE = (
    "signature s\ntype test\npolicyvers 33\nmls 1\nexpand 0\nstore\ns\n"
    + "a" * 64
    + "  modules/100/base/cil\n"
)
LABEL = "system_u:system_r:web_t:s0:c1,c2"
RECORD = 11
_PART = re.compile(r"part\(\) \{\n(.*?)\n\}\n\( part (.*?)\)", re.DOTALL)


def script_name(text: str) -> str:
    """Return the name of a script that selab sends. Raises AssertionError for any other text."""
    for name, known in SCRIPTS.items():
        if known == text:
            return name
    raise AssertionError(f"no script of SCRIPTS has this text: {text!r}")


def cut(done: Completed, limit: int | None) -> Completed:
    """Cut both outputs at `limit`, as a Guest does."""
    if limit is None:
        return done
    is_long = max(len(done.stdout), len(done.stderr)) > limit
    return replace(done, stdout=done.stdout[:limit], stderr=done.stderr[:limit], truncated=is_long)


def check_request(argv: Sequence[str], input: bytes, timeout: float, limit: int | None) -> None:
    """Fail a test whose request to a guest has a part of the wrong type, as a real guest would."""
    assert all(isinstance(word, str) for word in argv) and isinstance(input, bytes), (argv, input)
    assert isinstance(timeout, (int, float)) and (limit is None or isinstance(limit, int)), (timeout, limit)


def framed(argv: Sequence[str], answer: Answer) -> Answer:
    """Return `answer` with its end, as a guest does, if `argv` is the command of a Query."""
    code, out, err = answer
    if tuple(argv[:2]) != ("sh", "-c") or len(_PART.findall(argv[2])) != 1:
        return answer
    return 0, f"{out}{argv[4]} {code}\n", f"{err}{argv[4]}\n"


class FakeGuest:
    """Answers a command by the first rule whose words all occur in it; `files` is its file system.

    `inputs`, `timeouts` and `limits` are those of each of `commands`.
    """

    def __init__(self) -> None:
        self.rules: list[tuple[tuple[str, ...], Callable[[Sequence[str]], Answer]]] = []
        self.commands: list[tuple[str, ...]] = []
        self.inputs: list[bytes] = []
        self.timeouts: list[float] = []
        self.limits: list[int | None] = []
        self.files: dict[str, bytes] = {}
        self.closed = False

    def answer(self, *words: str, code: int = 0, out: str = "", err: str = "") -> None:
        """Let a command that has all of `words` in its arguments end with `code`, `out` and `err`."""
        self.rules.append((words, lambda argv: (code, out, err)))

    def run(
        self,
        argv: Sequence[str],
        *,
        input: bytes = b"",
        timeout: float = RUN_TIMEOUT,
        limit: int | None = None,
    ) -> Completed:
        check_request(argv, input, timeout, limit)
        self.commands.append(tuple(argv))
        self.inputs.append(input)
        self.timeouts.append(timeout)
        self.limits.append(limit)
        line = " ".join(argv)
        for words, rule in self.rules:
            if all(word in line for word in words):
                code, out, err = framed(argv, self.spoil(argv, rule(argv)))
                outputs = (text.encode(errors="surrogateescape") for text in (out, err))
                return cut(Completed(tuple(argv), code, *outputs), limit)
        raise AssertionError(f"the fake guest has no configured answer for {argv!r}")

    def spoil(self, argv: Sequence[str], answer: Answer) -> Answer:
        """Return what the guest answers to `argv` instead of `answer`. The text may have surrogates."""
        return answer

    def close(self) -> None:
        self.closed = True

    def put(self, data: bytes, path: str, *, mode: int = 0o644) -> None:
        self.files[path] = data

    def get(self, path: str) -> bytes:
        if path not in self.files:
            raise CommandFailed(f"{path} cannot be read.", ("get", path), 1, "No such file")
        return self.files[path]


class ScriptedGuest:
    """A guest for whole runs: it recognises selab's scripts by name and answers each as `answers` says.

    By default it answers what a run needs that finds everything in order: the candidate is in force, the
    container starts and nothing is denied. A step's command needs an answer from `answer_program`. `commands`
    holds every argv, and `calls` each script's name with its arguments, also if several scripts came in one
    argv. `before` is called with each script's name and may raise.

    `label` is the context that the container's processes have, or "" if they ended before it could be read;
    `records` are the audit log's lines between the marks, with the serial numbers RECORD and above; `lost`
    counts the records that the kernel lost.
    """

    def __init__(self, before: Callable[[str], None] = lambda name: None) -> None:
        self.before = before
        self.commands: list[tuple[str, ...]] = []
        self.calls: list[tuple[str, tuple[str, ...]]] = []
        self.files: dict[str, bytes] = {}
        self.closed = False
        self.label, self.records, self.lost = LABEL, "", 0
        self.answers: dict[str, Callable[[Sequence[str]], Answer]] = {
            "open-window": self._open_window,
            "close-window": self._close_window,
        }
        for name in ("same-store", "find-changes", "flush-cache", "restore-labels", "make-volume"):
            self.answer(name)
        for name in ("switch-mode", "restore-mode", "load-base", "service/restore", "await-removal"):
            self.answer(name)
        self.answer("survey", out=STORE)
        self.answers["start"] = lambda words: (0, f"pid 123\nlabel {self.label}\nend\n", "")
        self.answers["keep"] = self.answers["end"] = lambda words: (0, f"runs\nlabel {self.label}\nend\n", "")
        self._programs: dict[tuple[str, ...], Answer] = {}
        self._begin_mark = ""

    @property
    def scripts(self) -> list[str]:
        """The names of the scripts that ran, in order."""
        return [name for name, _ in self.calls]

    def run_several(self) -> None:
        """Let the containers of a scenario with several start under the labels that they should have."""
        self.answers["start"] = lambda words: (0, f"pid 123\nlabel {words[0]}\nend\n", "")
        self.answers["end"] = self.answers["keep"] = lambda words: (
            0,
            "runs\nend\n" * ((len(words) - 3) // 2),
            "",
        )
        for name in ("await-health", "make-network"):
            self.answer(name)

    def answer(self, name: str, *, code: int = 0, out: str = "", err: str = "") -> None:
        """Let the script `name` end with `code`, `out` and `err`."""
        assert name in SCRIPTS, name
        self.answers[name] = lambda words: (code, out, err)

    def answer_program(self, *words: str, code: int = 0, out: str = "", err: str = "") -> None:
        """Let a command that begins with `words` end with `code`, `out` and `err`."""
        self._programs[words] = (code, out, err)

    def run(
        self,
        argv: Sequence[str],
        *,
        input: bytes = b"",
        timeout: float = RUN_TIMEOUT,
        limit: int | None = None,
    ) -> Completed:
        check_request(argv, input, timeout, limit)
        self.commands.append(tuple(argv))
        if tuple(argv[:2]) != ("sh", "-c"):
            code, out, err = self._program(argv)
        elif parts := _PART.findall(argv[2]):
            code, out, err = self._together(parts, argv[4:])
        else:
            code, out, err = self._script(argv[2], argv[4:])
        outputs = (text.encode(errors="surrogateescape") for text in (out, err))
        return cut(Completed(tuple(argv), code, *outputs), limit)

    def put(self, data: bytes, path: str, *, mode: int = 0o644) -> None:
        self.commands.append(("put", path))
        self.files[path] = data

    def get(self, path: str) -> bytes:
        assert path in self.files, f"no file {path} was put into the guest"
        self.commands.append(("get", path))
        return self.files[path]

    def close(self) -> None:
        self.closed = True

    def _program(self, argv: Sequence[str]) -> Answer:
        for words, answer in self._programs.items():
            if tuple(argv[: len(words)]) == words:
                return self.spoil(argv[0], answer)
        raise AssertionError(f"the scripted guest has no configured answer for {argv!r}")

    def _script(self, text: str, words: Sequence[str]) -> Answer:
        name = script_name(text)
        assert name in self.answers, f"the scripted guest has no configured answer for the script '{name}'"
        self.calls.append((name, tuple(words)))
        self.before(name)
        return self.spoil(name, self.answers[name](words))

    def spoil(self, name: str, answer: Answer) -> Answer:
        """Return what the guest answers to the script or program `name` instead of `answer`."""
        return answer

    def _together(self, parts: Sequence[tuple[str, str]], words: Sequence[str]) -> Answer:
        """The answers to scripts that `query_all` has put together; none runs after one that has failed."""
        token, out, err = words[0], "", ""
        for text, places in parts:
            code, more, error = self._script(
                text, [words[int(number) - 1] for number in re.findall(r"\d+", places)]
            )
            out += f"{more}{token} {code}\n"
            err += f"{error}{token}\n"
            if code:
                break
        return 0, out, err

    def _open_window(self, words: Sequence[str]) -> Answer:
        self._begin_mark = words[0]
        return 0, "enabled 1\npid 400\nlost 0\nlog 77 1000\n", ""

    def _close_window(self, words: Sequence[str]) -> Answer:
        begin, end = _mark(RECORD - 1, self._begin_mark), _mark(RECORD + 100, words[0])
        status = f"enabled 1\npid 400\nlost {self.lost}\nmode 1\n"
        return 0, f"{status}window\n{begin}{self.records}{end}", ""


def _mark(serial: int, mark: str) -> str:
    return f"type=USER msg=audit(1700000000.100:{serial}): pid=9 uid=0 msg='text={mark}'\n"


class SandboxGuest:
    """Runs selab's scripts on this machine, with the guest's directories below `root`.

    The programs of root/bin come first. A program is a fake that `program` writes; each call of one is a line
    of `called`. `environment` is that of the scripts, and `descriptors` are open in them.
    """

    PLACES = ("/run/selab", "/sys/fs/selinux", "/var/lib/selab")

    def __init__(self, root: Path) -> None:
        self.root = root
        for place in (*self.PLACES, "/bin", "/tmp"):
            self.path(place).mkdir(parents=True)
        self.environment = {
            "PATH": f"{self.path('/bin')}:/usr/sbin:/usr/bin:/bin",
            "TMPDIR": str(self.path("/tmp")),
        }
        self.descriptors: tuple[int, ...] = ()

    def path(self, place: str) -> Path:
        """Return the path on this machine that stands for the guest's absolute path `place`."""
        return self.root / place.lstrip("/")

    def inside(self, text: str) -> str:
        """Return the program `text` with the paths of this sandbox in place of the guest's."""
        places = "|".join(map(re.escape, self.PLACES))
        return re.sub(places, lambda match: str(self.path(match[0])), text)

    def program(self, name: str, body: str = "") -> None:
        """Let the program `name` record its call and run the shell script `body`."""
        path = self.path(f"/bin/{name}")
        path.write_text(f'#!/bin/sh\necho "{name} $*" >>"{self.root}/called"\n{body}\n')
        path.chmod(0o755)

    @property
    def called(self) -> list[str]:
        record = self.root / "called"
        return record.read_text().splitlines() if record.exists() else []

    def write(self, place: str, text: str) -> None:
        """Write `text` into the guest's file `place`, whose directories are created."""
        self.path(place).parent.mkdir(parents=True, exist_ok=True)
        self.path(place).write_text(text)

    def status(self, *, enforcing: bool, policyload: int) -> None:
        """Write the kernel's status page and its mode."""
        self.path("/sys/fs/selinux/status").write_bytes(struct.pack("=5I", 1, 2, enforcing, policyload, 0))
        self.path("/sys/fs/selinux/enforce").write_text(str(int(enforcing)))

    def run(
        self,
        argv: Sequence[str],
        *,
        input: bytes = b"",
        timeout: float = RUN_TIMEOUT,
        limit: int | None = None,
    ) -> Completed:
        check_request(argv, input, timeout, limit)
        assert tuple(argv[:2]) == ("sh", "-c"), f"only scripts run in the sandbox, not {argv!r}"
        text = self.inside(argv[2])
        done = subprocess.run(
            ["/bin/sh", "-c", text, *argv[3:]],
            input=input,
            capture_output=True,
            timeout=min(timeout, 30),
            env=self.environment,
            pass_fds=self.descriptors,
        )
        return Completed(tuple(argv), done.returncode, done.stdout, done.stderr)

    def put(self, data: bytes, path: str, *, mode: int = 0o644) -> None:
        self.path(path).parent.mkdir(parents=True, exist_ok=True)
        self.path(path).write_bytes(data)

    def get(self, path: str) -> bytes:
        return self.path(path).read_bytes()

    def close(self) -> None:
        """The sandbox holds no connection."""


def keep_base(cache: Path) -> None:
    """Put the base policy that a ScriptedGuest says it has into `cache`: one type, web_t."""
    facts = survey._facts((), Completed((), 0, STORE.encode(), b""))
    directory = base._directory(facts.fingerprint, cache)
    for name, text in {
        "flat.cil": "(type web_t)\n",
        "cil/base.cil": "(type web_t)\n",
        "contexts/lxc_contexts": 'process = "system_u:system_r:web_t:s0"\n',
    }.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)
    (directory / "base.json").write_text(
        json.dumps({"dangling": [], "left_out": [], "digests": digests(directory)})
    )


def recorded_network(commands: list[tuple[str, ...]]) -> Callable[..., AbstractContextManager[None]]:
    """Return a function that opens a network, which records among `commands` when it is open."""

    @contextmanager
    def online(*_: object) -> Iterator[None]:
        commands.append(("network", "open"))
        yield
        commands.append(("network", "closed"))

    return online


class ReadyMachine:
    """A machine that is up, with a guest that needs nothing before a run."""

    managed = True

    def __init__(self, guest: ScriptedGuest) -> None:
        self.guest = guest

    def ensure(self, progress: Progress) -> ScriptedGuest:
        return self.guest

    def ensure_runtime(self, guest: Guest, runtime: str, progress: Progress) -> None:
        raise AssertionError(f"nothing in this test lacks {runtime}")

    def online(self, guest: Guest, progress: Progress) -> AbstractContextManager[None]:
        raise AssertionError("nothing in this test downloads")

    def rescue(self, progress: Progress) -> str:
        return ""

    def try_login(self) -> None:
        pass


class Notes(Progress):
    """A progress that keeps its notes and the names of its steps. It is its own listener."""

    def __init__(self) -> None:
        super().__init__(self)
        self.notes: list[str] = []
        self.steps: list[str] = []

    def started(self, step: str, depth: int) -> None:
        self.steps.append(step)

    def noted(self, text: str, depth: int) -> None:
        self.notes.append(text)

    def ended(self, step: str, depth: int, seconds: float, failed: bool) -> None: ...
