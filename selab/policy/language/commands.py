"""Sets of ioctl commands, which extended rules (`allowxperm`, in CIL `allowx`) list.

A set is an integer with one bit for each of the 65536 commands. The kernel looks at the lower 16 bits of a
command only (security/selinux/hooks.c, ioctl_has_perm).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from selab.policy.language.cil import Node

ALLOWX = "allowx"
LIMITING = frozenset({ALLOWX, "dontauditx", "auditallowx"})
"""The kinds of extended rules in a kernel policy. Each of them limits an `ioctl` to the listed commands."""
COMMANDS = 1 << 16
EVERY_COMMAND = (1 << COMMANDS) - 1
_SPAN = re.compile(r"(\w+)(?:\s*-\s*(\w+))?")


def names_extended_rule(cil: str) -> bool:
    """Return whether the text has an extended rule. A search for each kind is faster than one pattern."""
    return any(f"({kind} " in cil for kind in LIMITING)


def command_range(low: int, high: int) -> int:
    """Return the set of the commands from `low` to `high`."""
    return (EVERY_COMMAND >> low << low) & ((2 << min(high, COMMANDS - 1)) - 1)


def commands_in(expression: Node) -> int:
    """Evaluate the expression of a CIL rule: numbers, `range` and the operators (secilc, permissionx)."""
    if isinstance(expression, str):
        return EVERY_COMMAND if expression == "all" else 1 << (_number(expression) % COMMANDS)
    if len(expression) == 3 and expression[0] == "range":
        return command_range(*(_number(str(number)) for number in expression[1:]))
    head = expression[0] if expression and isinstance(expression[0], str) else ""
    match head:
        case "and" | "xor":
            first, second = map(commands_in, expression[1:])
            return first & second if head == "and" else first ^ second
        case "not":
            return EVERY_COMMAND & ~commands_in(expression[1])
        case _:
            union = 0
            for part in expression[1:] if head == "or" else expression:
                union |= commands_in(part)
            return union


def commands_in_te(text: str) -> int:
    """Return the set of the numbers and ranges that an allowxperm rule lists in braces."""
    union = 0
    for low, high in _SPAN.findall(text):
        union |= command_range(_number(low), _number(high or low))
    return union


def _number(text: str) -> int:
    """Read a number as strtol does, which takes a leading zero for octal."""
    return int(text, 8 if text.startswith("0") and text.isdigit() else 0)


def includes(commands: int, command: int) -> bool:
    """Return whether the set contains the command."""
    return bool(commands >> command & 1)


def as_hex(command: int | None) -> str:
    """Format a command as the kernel's records do: `0x8910`; an unknown one is empty."""
    return "" if command is None else f"0x{command:x}"


def spans(commands: int) -> Iterator[tuple[int, int]]:
    """Yield the ranges of the set, as their first and last commands."""
    start = 0
    while rest := commands >> start:
        low = start + (rest & -rest).bit_length() - 1
        ones = ~(commands >> low)
        start = low + (ones & -ones).bit_length() - 1
        yield low, start - 1


def in_te(commands: int) -> str:
    """Format the set for `allowxperm`: `0x8910`, `{ 0x8927 0x8930-0x8933 }`."""
    parts = [as_hex(low) if low == high else f"{as_hex(low)}-{as_hex(high)}" for low, high in spans(commands)]
    return parts[0] if len(parts) == 1 and "-" not in parts[0] else f"{{ {' '.join(parts)} }}"


def in_cil(commands: int) -> str:
    """Format the set for `allowx`: `(0x8927 (range 0x8930 0x8933))`."""
    parts = [
        as_hex(low) if low == high else f"(range {as_hex(low)} {as_hex(high)})"
        for low, high in spans(commands)
    ]
    return f"({' '.join(parts)})"
