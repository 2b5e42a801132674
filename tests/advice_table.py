"""Read a row of a table of denials, and compare selab's advice with the expert's."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from typing import Any

from selab.advice.advise import Advice, Situation, Volume
from selab.advice.denied_access import DeniedAccess
from selab.advice.remedy import Kind
from selab.policy.query.decide import Cause

_DENIAL = re.compile(r"(?P<source>\S+) (?P<target>\S+):(?P<tclass>\w+) \{?(?P<permissions>[\w ]+?) *\}?$")


def context(name: str, role: str) -> str:
    return name if ":" in name else f"system_u:{role}:{name}:s0"


def need_of(number: int, row: dict[str, Any]) -> DeniedAccess:
    denial = _DENIAL.fullmatch(row["ask"])
    assert denial, row
    source = context(denial["source"], "system_r")
    target = source if denial["target"] == "self" else context(denial["target"], "object_r")
    levels = [each.split(":", 3)[3] for each in (source, target)]
    types = [each.split(":")[2] for each in (source, target)]
    apart = (
        denial["tclass"] in ("file", "dir")
        and all(":" in level for level in levels)
        and levels[0] != levels[1]
    )
    return DeniedAccess(
        number, *types, denial["tclass"], frozenset(denial["permissions"].split()), "", row.get("path", ""),
        row.get("detail", ""), separated=apart, contexts=((source, target),),
    )  # fmt: skip


def situation_of(row: dict[str, Any], volume_type: str) -> Situation:
    volumes = tuple(Volume(target) for target in row.get("volumes", ()))
    return Situation(row.get("domain", ""), volumes, volume_type)


def matches(expected: str, advice: Advice) -> bool:
    """Return whether the advice is the expected one, or one of the expected ones."""
    kind, _, names = expected.partition(" ")
    causes = {"mcs": Cause.MCS, "constraint": Cause.CONSTRAINT}
    if kind in causes:
        return advice.cause is causes[kind]
    if kind == "nnp":
        return advice.stopped.startswith("no-new-privileges")
    if advice.best is None:
        return False
    if kind == "rule":
        return advice.best.kind in (Kind.RULE, Kind.INTERFACE)
    if kind == "port":
        return any(f" -t {name} " in advice.best.text for name in names.split("|"))
    if advice.best.kind != {"label": "relabel"}.get(kind, kind):
        return False
    text = advice.best.text.removeprefix("setsebool -P ").removeprefix(f"typeattribute {advice.need.target} ")
    return not names or any(fnmatch(re.split(r"[ (;]", text)[0], name) for name in names.split("|"))


def outcome(row: dict[str, Any], advice: Advice) -> str:
    if advice.allowed_now:
        return "allowed"
    if advice.cause is Cause.UNKNOWN or advice.best is None:
        return "no answer"
    expected = [row["expect"]] if isinstance(row["expect"], str) else row["expect"]
    return "right" if any(matches(remedy, advice) for remedy in expected) else "wrong"
