"""A kernel policy's booleans, set otherwise in a copy of it: what a policy would decide if one of them was on, or off."""

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
    """The booleans of the kernel policy in the file `policy`, by name, with their values there (sepol/booleans.h)."""

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
        """Write the policy with `changes` to the file `path`."""
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
                "The booleans of the linked policy cannot be read or set.", "libsepol refused it."
            )


def with_booleans(policy: Path, decisions: Sequence[Decision], *, names: bool = False) -> list[Decision]:
    """`decisions` of `policy`, with Cause.BOOLEAN where a rule is there but its boolean is not set for it; with `names`, which one.

    All booleans are set the other way at once, which takes half a second. The one is then looked for by halves, some seconds for each.
    """
    missing = [decision.access for decision in decisions if decision.cause is Cause.RULE]
    booleans = Booleans(policy) if missing else None
    if booleans is None or not booleans.values:
        return list(decisions)
    found: dict[Access, str] = {}
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory) / "policy"
        for wanted in (True, False):
            others = [name for name, value in booleans.values.items() if value is not wanted]
            left = [
                access
                for access in _allowed(booleans, dict.fromkeys(others, wanted), missing, copy)
                if access not in found
            ]
            found |= dict.fromkeys(left, "")
            while names and left:
                one = _the_one(booleans, others, wanted, left[0], copy)
                same = [left[0], *(_allowed(booleans, {one: wanted}, left, copy) if one else [])]
                found |= dict.fromkeys(same, f"{one} {'on' if wanted else 'off'}" if one else "")
                left = [access for access in left if access not in same]
    return [
        replace(each, cause=Cause.BOOLEAN, detail=found[each.access]) if each.access in found else each
        for each in decisions
    ]


def _allowed(
    booleans: Booleans, changes: Mapping[str, bool], asked: Sequence[Access], copy: Path
) -> list[Access]:
    booleans.write(changes, copy)
    return [decision.access for decision in Decider(copy).decide(asked) if decision.cause is not Cause.RULE]


def _the_one(booleans: Booleans, names: list[str], wanted: bool, access: Access, copy: Path) -> str:
    """The boolean out of `names` that lets `access` through when it alone is `wanted`; nothing where it takes more than one."""
    while len(names) > 1:
        halves = names[: len(names) // 2], names[len(names) // 2 :]
        names = next(
            (half for half in halves if _allowed(booleans, dict.fromkeys(half, wanted), [access], copy)), []
        )
    return names[0] if names else ""
