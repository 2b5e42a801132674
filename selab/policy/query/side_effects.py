"""Find out whether a candidate can restrict what is not its own; most candidates only add rules."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from selab.policy.compile import CompiledModule
from selab.policy.language.commands import LIMITING

_STATEMENT = re.compile(r"^[^\S\n]*\((\w+)[ \t]*(.*)$", re.MULTILINE)
_NAME = re.compile(r"[\w.@-]+")
_TYPE = re.compile(r"^[^\S\n]*\(type ([\w.@-]+)\)", re.MULTILINE)
_DECLARED = re.compile(r"^[^\S\n]*\((?:type|typeattribute|typealias) ([\w.@-]+)\)", re.MULTILINE)
_ADDS = re.compile(
    r"type(?:attribute|alias|aliasactual|permissive)?|expandtypeattribute|(?:allow|auditallow|dontaudit)|neverallowx?"
    r"|role(?:type|attribute|attributeset|allow)?|user(?:role)?|boolean(?:if)?|tunable(?:if)?|true|false|optional|filecon"
)
"""These CIL statements restrict nothing; labelling shows what a filecon changes."""


def beyond_its_own(candidates: Sequence[CompiledModule]) -> str:
    """Return the first statement by which `candidates` may change what other domains can do, or an empty
    string.

    Such statements are a transition out of a foreign domain, its bounds, an attribute that a constraint may
    use, a constraint, a deny rule, and an extended rule, which limits the ioctl commands of its source. A
    transition at the execution of a program of the candidate's own type is not one: only files that the
    candidate labels have that type.
    """
    own = {name for each in candidates for name in _DECLARED.findall(each.cil)}
    types = {name for each in candidates for name in _TYPE.findall(each.cil)}
    for candidate in candidates:
        for keyword, rest in _STATEMENT.findall(candidate.cil):
            # An extended rule limits each member of an attribute, and some of them may be foreign.
            mine = types if keyword in LIMITING else own
            names = _NAME.findall(rest)
            if _ADDS.fullmatch(keyword) or _is_at_own_program(keyword, names, types):
                continue
            if not _HARMLESS.get(keyword, _never)(names, mine):
                return f"({keyword} {rest}"
    return ""


def _is_at_own_program(keyword: str, names: Sequence[str], types: set[str]) -> bool:
    return (
        keyword in ("typetransition", "rangetransition") and names[2:3] == ["process"] and names[1] in types
    )


def _never(names: list[str], own: set[str]) -> bool:
    return False


def _about_own_types(names: list[str], own: set[str]) -> bool:
    attribute, *members = names
    return attribute in {"cil_gen_require", *own} or own.issuperset(members)


_HARMLESS: dict[str, Callable[[list[str], set[str]], bool]] = {
    "typeattributeset": _about_own_types,
    **dict.fromkeys(LIMITING, lambda names, own: names[0] in own),
    "typetransition": lambda names, own: names[0] in own,
    "typechange": lambda names, own: names[0] in own,
    "rangetransition": lambda names, own: names[0] in own,
    "typebounds": lambda names, own: names[1:2] != [] and names[1] in own,
}
