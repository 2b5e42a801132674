"""Whether a candidate can take anything from what is not its own: most only add rules, which nobody else can miss."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from selab.policy.compile import CompiledModule

_STATEMENT = re.compile(r"^\s*\((\w+)[ \t]*(.*)$", re.MULTILINE)
_NAME = re.compile(r"[\w.@-]+")
_DECLARED = re.compile(r"^\s*\((?:type|typeattribute|typealias) ([\w.@-]+)\)", re.MULTILINE)
_ADDS = re.compile(
    r"type(?:attribute|alias|aliasactual|permissive)?|expandtypeattribute|(?:allow|auditallow|dontaudit|neverallow)x?"
    r"|role(?:type|attribute|attributeset|allow)?|user(?:role)?|boolean(?:if)?|tunable(?:if)?|true|false|optional|filecon"
)
"""CIL's statements that take nothing away (what a filecon does is seen when it labels files)."""


def beyond_its_own(candidates: Sequence[CompiledModule]) -> str:
    """The first statement by which `candidates` may change what others can do: a transition out of a domain that is not theirs, bounds or
    an attribute (which a constraint may ask for) for one, a constraint, a deny. Nothing where there is none."""
    own = {name for each in candidates for name in _DECLARED.findall(each.cil)}
    for candidate in candidates:
        for keyword, rest in _STATEMENT.findall(candidate.cil):
            if not _ADDS.fullmatch(keyword) and not _HARMLESS.get(keyword, _never)(_NAME.findall(rest), own):
                return f"({keyword} {rest}"
    return ""


def _never(names: list[str], own: set[str]) -> bool:
    return False


def _about_own_types(names: list[str], own: set[str]) -> bool:
    attribute, *members = names
    return attribute in {"cil_gen_require", *own} or own.issuperset(members)


_HARMLESS: dict[str, Callable[[list[str], set[str]], bool]] = {
    "typeattributeset": _about_own_types,
    "typetransition": lambda names, own: names[0] in own,
    "typechange": lambda names, own: names[0] in own,
    "rangetransition": lambda names, own: names[0] in own,
    "typebounds": lambda names, own: names[1:2] != [] and names[1] in own,
}
