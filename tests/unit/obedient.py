"""A guest that does whatever it is asked for, so that a whole run can be made without one; and a base policy for it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from selab.guest import RUN_TIMEOUT, Completed, Guest, script
from selab.policy import base
from selab.progress import Progress

STORE = (
    "signature s\ntype test\npolicyvers 33\nmls 1\nexpand 0\nstore\ns\n"
    + "a" * 64
    + "  modules/100/base/cil\n"
)
STATUS = "enabled 1\npid 400\nlost 0\n"
LABEL = "system_u:system_r:web_t:s0:c1,c2"
RECORD = 11


def keep_base(cache: Path) -> None:
    """Put the base policy that the guest says it has into `cache`: one type, web_t."""
    facts = base._facts((), Completed((), 0, STORE.encode(), b""))
    directory = base._directory(facts.fingerprint, cache)
    for name, text in {
        "flat.cil": "(type web_t)\n",
        "cil/base.cil": "(type web_t)\n",
        "contexts/lxc_contexts": 'process = "system_u:system_r:web_t:s0"\n',
    }.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)
    (directory / "base.json").write_text(
        json.dumps({"dangling": [], "left_out": [], "sizes": base._sizes(directory)})
    )


class ObedientGuest:
    """Answers each script of selab's by what it is known by. `asked` holds every command, those that came together one by one.

    `before` is called with each script before it is answered, and may raise. `label` is what its container's processes have, if anyone
    sees them; `records` what the log has between the marks, with the serial numbers RECORD and above; `lost` how many the kernel lost.
    """

    def __init__(self, before: Callable[[str], None] = lambda script: None) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.before = before
        self.marks: list[str] = []
        self.closed = False
        self.label = LABEL
        self.records = ""
        self.lost = 0

    def run(self, argv: Sequence[str], *, input: bytes = b"", timeout: float = RUN_TIMEOUT) -> Completed:
        self.asked.append(tuple(argv))
        text = argv[2] if argv[0] == "sh" else ""
        if not text.startswith("part() {"):
            self.before(text)
            return Completed(tuple(argv), 0, self._answer(text, argv).encode(), b"")
        token, out, err = argv[4], "", ""
        for part, places in re.findall(r"part\(\) \{\n(.*?)\n\}\n\( part (.*?)\)", text, re.DOTALL):
            self.before(part)
            words = [argv[3 + int(number)] for number in re.findall(r"\d+", places)]
            out += f"{self._answer(part, words)}{token} 0\n"
            err += f"{token}\n"
        return Completed(tuple(argv), 0, out.encode(), err.encode())

    def close(self) -> None:
        self.closed = True

    def put(self, data: bytes, path: str, *, mode: int = 0o644) -> None:
        self.asked.append(("put", path))

    def get(self, path: str) -> bytes:
        self.asked.append(("get", path))
        return b""

    def _answer(self, text: str, words: Sequence[str]) -> str:
        if text == script("policy/survey"):
            return STORE
        if text == script("container/start"):
            return f"pid 123\nlabel {self.label}\n"
        if text == script("container/remove"):
            return f"label {self.label}\n"
        if text == script("auditlog/open-window"):
            self.marks = [words[0]]
            return f"{STATUS}log 77 1000\n"
        if text == script("auditlog/close-window"):
            begin, end = (
                _mark(serial, mark)
                for serial, mark in zip((RECORD - 1, RECORD + 100), (*self.marks, words[0]), strict=True)
            )
            return (
                f"{STATUS.replace('lost 0', f'lost {self.lost}')}mode 1\nwindow\n{begin}{self.records}{end}"
            )
        return ""


def _mark(serial: int, mark: str) -> str:
    return f"type=USER msg=audit(1700000000.100:{serial}): pid=9 uid=0 msg='text={mark}'\n"


class StandingMachine:
    """A machine that is up, with a guest that nothing is wrong with."""

    managed = True

    def __init__(self, guest: ObedientGuest) -> None:
        self.guest = guest

    def ensure(self, progress: Progress) -> ObedientGuest:
        return self.guest

    def ensure_runtime(self, guest: Guest, runtime: str, progress: Progress) -> None:
        self.ensured = runtime

    def rescue(self, progress: Progress) -> str:
        return ""

    def try_login(self) -> None:
        pass
