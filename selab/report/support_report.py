"""A checklist as Markdown that can be sent to somebody: nothing in it says whose machine it was."""

from __future__ import annotations

import getpass
import re
import socket
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from selab.doctor.support_report import Check, Checklist
from selab.host.cache import cache_dir
from selab.host.files import to_json
from selab.project import Project
from selab.report.text import plain
from selab.run.document import RunDocument

EVERYBODYS = frozenset({"root", "vagrant", "localhost", "user", "admin", "selab", ""})
"""Names that say nothing of anybody."""
SHORTEST = 3
"""Characters of a name that is searched for in words: a shorter one would take too much away that is none."""
_HOMES = re.compile(r"(?:/home|/Users|/var/home|[A-Z]:\\Users)[/\\][^/\\\s:,;'\"`)]+")
_ADDRESS = re.compile(r"\b(?!127\.|10\.0\.[23]\.)(?:\d{1,3}\.){3}\d{1,3}\b")
MARKS = {True: "x", False: " ", None: " "}


def markdown(found: Checklist, project: Project) -> str:
    """The whole report. Names of this machine, of its user and of directories are replaced by what they are."""
    return "\n".join(_lines(_anonymous(found, private(project)))) + "\n"


def _anonymous(found: Checklist, names: dict[str, str]) -> Checklist:
    facts = {name: _without(names, said) for name, said in found.facts.items()}
    findings = tuple(replace(one, detail=_without(names, one.detail), remedy="") for one in found.findings)
    return replace(found, facts=facts, findings=findings)


def private(project: Project) -> dict[str, str]:
    """What must not show, and what shows instead; longer names first, since one may be a part of another."""
    hosts = {socket.gethostname(), socket.gethostname().partition(".")[0]}
    names = {str(project.root): "PROJECT", str(cache_dir()): "CACHE", str(Path.home()): "HOME"}
    names |= dict.fromkeys(hosts, "HOST") | {_user(): "USER"}
    return {
        name: names[name]
        for name in sorted(names, key=len, reverse=True)
        if name not in EVERYBODYS and len(name) >= SHORTEST
    }


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name
        return ""


def _without(names: dict[str, str], text: str) -> str:
    for name, instead in names.items():
        text = re.sub(
            rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])", instead, text, flags=re.IGNORECASE
        )
    return _ADDRESS.sub("ADDRESS", _HOMES.sub("HOME", text))


def _lines(found: Checklist) -> Iterator[str]:
    yield from (
        f"# selab on {found.profile or 'a machine'}",
        "",
        "Made by `selab doctor --report`. Read it before you send it.",
        "",
    )
    yield from ("## Checklist", "", *(_check(one) for one in found.checks), "")
    yield from _table("Facts", ("fact", "value"), found.facts.items())
    yield from _table("Provisioning", ("step", "state"), found.steps.items())
    yield from _table(
        "What the doctor says",
        ("subject", "state", "detail"),
        ((one.subject, one.state, one.detail) for one in found.findings),
    )
    yield from _table(
        "Runs", ("mode", "verdict", "denials", "steps", "seconds by stage"), map(_run, found.runs)
    )
    yield from ("## For programs", "", "```json", _json(found), "```")


def _check(check: Check) -> str:
    unseen = " (not seen)" if check.ok is None else ""
    return f"- [{MARKS[check.ok]}] {check.what}{unseen}{f' {_cell(check.detail)}' if check.detail else ''}"


def _table(title: str, head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield from (f"## {title}", "", f"| {' | '.join(head)} |", f"|{'---|' * len(head)}")
    yield from (f"| {' | '.join(_cell(text) for text in row)} |" for row in rows)
    yield ""


def _cell(text: str) -> str:
    """Text of a guest on one line, which ends no cell and begins no markup."""
    return re.sub(r"([|<>`\[\]*\\])", r"\\\1", plain(text))


def _run(run: RunDocument) -> tuple[str, ...]:
    done = f"{sum(step.ok for step in run.steps)} of {len(run.steps)}"
    timings = ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in run.timings.items())
    return run.mode.value, run.verdict.value, str(len(run.keys)), done, timings


def _json(found: Checklist) -> str:
    runs = [
        dict(zip(("mode", "verdict", "denials", "steps"), _run(run), strict=False)) | {"timings": run.timings}
        for run in found.runs
    ]
    checks = [{"what": one.what, "ok": one.ok, "detail": one.detail} for one in found.checks]
    findings = [{"subject": one.subject, "state": one.state, "detail": one.detail} for one in found.findings]
    told = {
        "profile": found.profile,
        "checks": checks,
        "facts": found.facts,
        "provisioning": found.steps,
        "findings": findings,
        "runs": runs,
    }
    return to_json(told)
