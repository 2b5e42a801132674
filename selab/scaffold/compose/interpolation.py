"""Interpolate the variables of a Compose file: `$A`, `${A:-default}`, `${A:?error}`, `${A:+alternative}`.

No variable has a value here: neither the environment of the user nor an `.env` file is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

MAX_NESTED = 10
"""Variables within the default of a variable."""
_NAME = re.compile(r"[_A-Za-z][_A-Za-z0-9]*")
_OPERATOR = re.compile(r":?[-?+]|\}")
_PLAIN = re.compile(r"[^$}]+")


@dataclass
class _Names:
    """Names of variables.

    missing: variables that have no default.
    defaults: variables whose default is used.
    """

    missing: list[str] = field(default_factory=list)
    defaults: list[str] = field(default_factory=list)


def interpolate(text: str) -> str:
    """Return the text with the defaults of its variables. Raises ValueError if a variable has none."""
    names = _Names()
    result, _ = _expand(text, 0, names, 0)
    if names.missing:
        raise ValueError(f"the variable {names.missing[0]} has no value here")
    return result


def defaulted(value: Any) -> Iterable[str]:
    """Return the variables in `value`, also in its parts, whose defaults `interpolate` uses."""
    if isinstance(value, dict):
        parts: Iterable[Any] = value.values()
    elif isinstance(value, list):
        parts = value
    else:
        parts = ()
        names = _Names()
        if isinstance(value, str):
            try:
                _expand(value, 0, names, 0)
            except ValueError:
                return []
        return [] if names.missing else names.defaults
    return [name for part in parts for name in defaulted(part)]


def _expand(text: str, start: int, names: _Names, depth: int) -> tuple[str, int]:
    """Expand from `start` to the end, or within a variable (`depth` > 0) to the `}`; return the end too."""
    if depth > MAX_NESTED:
        raise ValueError("its variables are nested too deeply")
    parts: list[str] = []
    position = start
    while position < len(text) and not (depth and text[position] == "}"):
        plain = _PLAIN.match(text, position)
        name = _NAME.match(text, position + 1)
        if plain:
            part, position = plain[0], plain.end()
        elif text.startswith("$$", position):
            part, position = "$", position + 2
        elif text.startswith("${", position):
            part, position = _braced(text, position + 2, names, depth)
        elif text[position] == "$" and name:
            names.missing.append(name[0])
            part, position = "", name.end()
        else:
            part, position = text[position], position + 1
        parts.append(part)
    return "".join(parts), position


def _braced(text: str, start: int, names: _Names, depth: int) -> tuple[str, int]:
    """Expand a variable in braces, whose name begins at `start`."""
    name = _NAME.match(text, start)
    operator = _OPERATOR.match(text, name.end()) if name else None
    if not name or not operator:
        raise ValueError("it has a variable that is not valid")
    if operator[0] == "}":
        names.missing.append(name[0])
        return "", operator.end()
    inner = _Names()
    value, end = _expand(text, operator.end(), inner, depth + 1)
    if end >= len(text):
        raise ValueError("it has a variable without a closing brace")
    if operator[0].endswith("-"):
        names.defaults.append(name[0])
        names.defaults += inner.defaults
        names.missing += inner.missing
        return value, end + 1
    if operator[0].endswith("?"):
        names.missing.append(name[0])
    return "", end + 1
