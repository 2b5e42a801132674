"""The checklist of `selab doctor --report` as Markdown. Nothing in it identifies the machine or its user."""

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

COMMON_NAMES = frozenset({"root", "vagrant", "localhost", "user", "admin", "selab", ""})
"""Names that do not identify a user or a machine."""
SHORTEST = 3
"""Characters of a name that is replaced: a shorter name would also match parts of other text."""
_HOMES = re.compile(r"(?:/home|/Users|/var/home|[A-Z]:\\Users)[/\\][^/\\\s:,;'\"`)]+")
_ADDRESS = re.compile(r"\b(?!127\.|10\.0\.[23]\.)(?:\d{1,3}\.){3}\d{1,3}\b")
SHOWN = 20
"""Runs to list. The checklist is made from all of them."""
MARKS = {True: "x", False: " ", None: " "}


def markdown(checklist: Checklist, project: Project) -> str:
    """The report. Names of this machine, its user and directories are replaced by words for what they are."""
    return "\n".join(_lines(_anonymous(checklist, private(project)))) + "\n"


def _anonymous(checklist: Checklist, names: dict[str, str]) -> Checklist:
    facts = {name: _without(names, value) for name, value in checklist.facts.items()}
    findings = tuple(
        replace(finding, detail=_without(names, finding.detail), remedy="") for finding in checklist.findings
    )
    return replace(checklist, facts=facts, findings=findings)


def private(project: Project) -> dict[str, str]:
    """Each name that must not appear, and its replacement.

    Longer names come first, since a name may be a part of another one.
    """
    hosts = {socket.gethostname(), socket.gethostname().partition(".")[0]}
    names = {str(project.root): "PROJECT", str(cache_dir()): "CACHE", str(Path.home()): "HOME"}
    names |= dict.fromkeys(hosts, "HOST") | {_user(): "USER"}
    return {
        name: names[name]
        for name in sorted(names, key=len, reverse=True)
        if name not in COMMON_NAMES and len(name) >= SHORTEST
    }


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user ID without a name
        return ""


def _without(names: dict[str, str], text: str) -> str:
    for name, replacement in names.items():
        text = re.sub(
            rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])", replacement, text, flags=re.IGNORECASE
        )
    return _ADDRESS.sub("ADDRESS", _HOMES.sub("HOME", text))


def _lines(checklist: Checklist) -> Iterator[str]:
    yield from (
        f"# selab on {checklist.profile or 'a machine'}",
        "",
        "Made by `selab doctor --report`. Read it before you send it.",
        "",
    )
    yield from ("## Checklist", "", *map(_check, checklist.checks), "")
    yield from _table("Facts", ("fact", "value"), checklist.facts.items())
    yield from _table("Provisioning", ("step", "state"), checklist.steps.items())
    yield from _table(
        "What the doctor says",
        ("subject", "state", "detail"),
        ((finding.subject, finding.state, finding.detail) for finding in checklist.findings),
    )
    count = len(checklist.runs)
    title = f"Runs (the last {SHOWN} of {count})" if count > SHOWN else "Runs"
    head = ("mode", "verdict", "denials", "steps", "seconds by stage")
    yield from _table(title, head, map(_run, checklist.runs[:SHOWN]))
    yield from ("## For programs", "", "```json", _json(checklist), "```")


def _check(check: Check) -> str:
    unseen = " (not seen)" if check.ok is None else ""
    return f"- [{MARKS[check.ok]}] {check.what}{unseen}{f' {_cell(check.detail)}' if check.detail else ''}"


def _table(title: str, head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield from (f"## {title}", "", f"| {' | '.join(head)} |", f"|{'---|' * len(head)}")
    yield from (f"| {' | '.join(_cell(text) for text in row)} |" for row in rows)
    yield ""


def _cell(text: str) -> str:
    """Text from a guest on one line, in which nothing ends the cell or is markup."""
    return re.sub(r"([|<>`\[\]*\\])", r"\\\1", plain(text))


def _run(run: RunDocument) -> tuple[str, ...]:
    steps = f"{sum(step.ok for step in run.steps)} of {len(run.steps)}"
    timings = ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in run.timings.items())
    return run.mode.value, run.verdict.value, str(len(run.keys)), steps, timings


def _json(checklist: Checklist) -> str:
    runs = [
        dict(zip(("mode", "verdict", "denials", "steps"), _run(run), strict=False)) | {"timings": run.timings}
        for run in checklist.runs[:SHOWN]
    ]
    checks = [{"what": check.what, "ok": check.ok, "detail": check.detail} for check in checklist.checks]
    findings = [
        {"subject": finding.subject, "state": finding.state, "detail": finding.detail}
        for finding in checklist.findings
    ]
    report = {
        "profile": checklist.profile,
        "checks": checks,
        "facts": checklist.facts,
        "provisioning": checklist.steps,
        "findings": findings,
        "runs": runs,
        "run_count": len(checklist.runs),
    }
    return to_json(report)
