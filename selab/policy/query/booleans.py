"""Set the booleans of a kernel policy in a copy of it, to find out which boolean blocks an access."""

from __future__ import annotations

import ctypes
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from selab.errors import SelabError
from selab.policy.query.decide import Access, Cause, Decider, Decision, libsepol

_Visit = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)


class Booleans:
    """Reads and sets the booleans of the kernel policy in the file `policy` (sepol/booleans.h).

    values: the booleans by name, as the file has them.
    """

    def __init__(self, policy: Path) -> None:
        self._library = library = libsepol()
        library.sepol_bool_get_name.restype = ctypes.c_char_p
        library.sepol_handle_create.restype = ctypes.c_void_p
        self._handle = ctypes.c_void_p(library.sepol_handle_create())
        library.sepol_msg_set_callback(self._handle, None, None)
        self._data = policy.read_bytes()
        self.values: dict[str, bool] = {}
        database = self._read()

        def note(boolean: int, _: object) -> int:
            entry = ctypes.c_void_p(boolean)
            self.values[library.sepol_bool_get_name(entry).decode()] = bool(
                library.sepol_bool_get_value(entry)
            )
            return 0

        library.sepol_bool_iterate(self._handle, database, _Visit(note), None)
        library.sepol_policydb_free(database)

    def write(self, changes: Mapping[str, bool], path: Path) -> None:
        """Write the policy with `changes` applied to the file `path`."""
        library, database = self._library, self._read()
        for name, value in changes.items():
            key, boolean = ctypes.c_void_p(), ctypes.c_void_p()
            library.sepol_bool_key_create(self._handle, name.encode(), ctypes.byref(key))
            library.sepol_bool_query(self._handle, database, key, ctypes.byref(boolean))
            library.sepol_bool_set_value(boolean, ctypes.c_int(value))
            self._check(library.sepol_bool_set(self._handle, database, key, boolean))
            library.sepol_bool_free(boolean)
            library.sepol_bool_key_free(key)
        image, size = ctypes.c_void_p(), ctypes.c_size_t()
        self._check(
            library.sepol_policydb_to_image(self._handle, database, ctypes.byref(image), ctypes.byref(size))
        )
        path.write_bytes(ctypes.string_at(image, size.value))
        libc = ctypes.CDLL(None)
        libc.free(image)
        library.sepol_policydb_free(database)

    def _read(self) -> ctypes.c_void_p:
        library, database, file = self._library, ctypes.c_void_p(), ctypes.c_void_p()
        library.sepol_policydb_create(ctypes.byref(database))
        library.sepol_policy_file_create(ctypes.byref(file))
        library.sepol_policy_file_set_mem(file, self._data, ctypes.c_size_t(len(self._data)))
        self._check(library.sepol_policydb_read(database, file))
        library.sepol_policy_file_free(file)
        return database

    def _check(self, failed: int) -> None:
        if failed:
            raise SelabError(
                "The booleans of the linked policy cannot be read or set.", "libsepol refused the request."
            )


def with_booleans(policy: Path, decisions: Sequence[Decision], *, names: bool = False) -> list[Decision]:
    """Mark the `decisions` of `policy` that a boolean blocks with Cause.BOOLEAN; `names` adds which boolean.

    All booleans are inverted at once, which takes half a second. The deciding boolean is then found by
    bisection, which takes some seconds each.
    """
    missing = [decision.access for decision in decisions if decision.cause is Cause.RULE]
    booleans = Booleans(policy) if missing else None
    if booleans is None or not booleans.values:
        return list(decisions)
    culprit: dict[Access, str] = {}
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory) / "policy"
        for value in (True, False):
            others = [name for name, current in booleans.values.items() if current is not value]
            left = [
                access
                for access in _allowed(booleans, dict.fromkeys(others, value), missing, copy)
                if access not in culprit
            ]
            culprit |= dict.fromkeys(left, "")
            while names and left:
                name = _deciding_boolean(booleans, others, value, left[0], copy)
                same = [left[0], *(_allowed(booleans, {name: value}, left, copy) if name else [])]
                culprit |= dict.fromkeys(same, f"{name} {'on' if value else 'off'}" if name else "")
                left = [access for access in left if access not in same]
    return [
        replace(each, cause=Cause.BOOLEAN, detail=culprit[each.access]) if each.access in culprit else each
        for each in decisions
    ]


def _allowed(
    booleans: Booleans, changes: Mapping[str, bool], accesses: Sequence[Access], copy: Path
) -> list[Access]:
    booleans.write(changes, copy)
    decisions = Decider(copy).decide(accesses)
    return [decision.access for decision in decisions if decision.cause not in (Cause.RULE, Cause.COMMAND)]


def _deciding_boolean(booleans: Booleans, names: list[str], value: bool, access: Access, copy: Path) -> str:
    """Return the boolean of `names` that permits `access` if it alone is `value`, or an empty string."""
    while len(names) > 1:
        halves = names[: len(names) // 2], names[len(names) // 2 :]
        names = next(
            (half for half in halves if _allowed(booleans, dict.fromkeys(half, value), [access], copy)), []
        )
    return names[0] if names else ""
