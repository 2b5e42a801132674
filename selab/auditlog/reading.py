"""Interpret one record: a decision of an access vector cache, another failure, or something else.

Sources: the kernel's security/selinux/avc.c (avc_audit_pre_callback, avc_audit_post_callback),
    security/lsm_audit.c (dump_common_audit_data), and libselinux's src/avc.c (avc_audit) for object managers.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from selab.auditlog.context import Context
from selab.auditlog.denials import AvcDenial, SelinuxError
from selab.auditlog.fields import parse_fields
from selab.auditlog.losses import Loss, loss_in
from selab.auditlog.names import DESCRIBING_TYPES, DETAIL_FIELDS
from selab.auditlog.records import Record
from selab.auditlog.selinux_error import ERROR_TYPES, read_error

_DECISION = re.compile(r"avc:\s*+(denied|granted)\s*+(?:\{([^{}]*)\}|null\b)", re.ASCII)
_SUBJECT = re.compile(
    r"\sscontext=(\S+)\s+tcontext=(\S+)\s+tclass=([\w.-]+)(?![=/:])(?:\s+permissive=([01])(?![\w:./-]))?",
    re.ASCII,
)
_MUST_BE_READ = ERROR_TYPES | {"AVC", "USER_AVC"}
_MODES = {"0": False, "1": True, None: None}

SIBLINGS = frozenset({"SYSCALL", "PATH", "AVC_PATH", "CWD"})
"""The types of the records that describe a denial of the same event."""
NOT_A_RECORD = "not an audit record"


@dataclass(frozen=True)
class Ignored:
    """A record that is neither a denial nor a failure of SELinux.

    kind: what the record is, or empty if it only describes its event.
    """

    kind: str


Reading = AvcDenial | SelinuxError | Ignored | Loss
"""What a record says."""
_FOREIGN = Ignored(NOT_A_RECORD)
_NOTICE = Ignored("notice")


def read_record(record: Record, event: Sequence[Record]) -> Reading | None:
    """Interpret `record`; None if it is unreadable and may be a denial.

    `event` holds those records of the same event whose types are SIBLINGS.
    """
    kind = record.type
    if kind == "AVC":
        return _read_avc(record, event)
    if kind == "USER_AVC":
        return _read_user_avc(record, event)
    if kind in ERROR_TYPES:
        return None if record.partial else read_error(record)
    if not kind:
        return None if record.partial else loss_in(record.text) or _FOREIGN
    return _by_type(kind)


@functools.lru_cache(maxsize=512)
def ignored_kind(record_type: bytes) -> str | None:
    """Return the kind of a record that its type alone lets selab ignore; None if it must be parsed.

    The kind is empty if the record only describes its event.
    """
    reading = _by_type(record_type.decode("ascii"))
    return None if reading is None else reading.kind


@functools.lru_cache(maxsize=512)
def _by_type(kind: str) -> Ignored | None:
    if kind in _MUST_BE_READ:
        return None
    if kind in DESCRIBING_TYPES:
        return Ignored("")
    return Ignored("apparmor" if kind.startswith("APPARMOR") else kind)


def _read_avc(record: Record, event: Sequence[Record]) -> AvcDenial | Ignored | None:
    if "avc:" in record.text:
        return _decision(record, event)
    if "apparmor=" in record.text:
        return Ignored("apparmor")
    return Ignored(f"lsm {record.fields['lsm']}"[:40]) if "lsm" in record.fields else None


def _read_user_avc(record: Record, event: Sequence[Record]) -> AvcDenial | SelinuxError | Ignored | None:
    """Interpret a USER_AVC, which may also be a notice or an error (libselinux: src/avc_internal.c)."""
    if re.search(r"avc:\s+(?:received|op=)", record.text):
        return _NOTICE
    if re.search(r"avc:\s+(?:denied|granted)", record.text) or record.partial:
        return _decision(record, event)
    return read_error(record)


def _decision(record: Record, event: Sequence[Record]) -> AvcDenial | None:
    """Parse a decision, its contexts from the end: they follow everything that a process may choose."""
    text = record.text
    decision = _DECISION.search(text)
    place = text.rfind("scontext=") - 1
    subject = _SUBJECT.match(text, place) if place >= 0 else None
    if (
        decision is None
        or subject is None
        or place < decision.end()
        or (record.partial and (subject[4] is None or _is_open(text)))
    ):
        return None
    try:
        source, target = Context.parse(subject[1]), Context.parse(subject[2])
    except ValueError:
        return None
    fields = parse_fields(text[decision.end() : place], interpreted=record.interpreted)
    tail = parse_fields(text[subject.end() :], interpreted=record.interpreted)
    userspace = record.type == "USER_AVC"
    call = _sibling(event, "SYSCALL")
    return AvcDenial(
        source=source,
        target=target,
        tclass=subject[3],
        permissions=tuple((decision[2] or "null").split()),
        permissive=_MODES[subject[4]],
        comm=fields.get("comm", "") or call.get("comm", ""),
        path=_path(fields, event),
        pid=_number(fields.get("spid", "") if userspace else fields.get("pid", "") or call.get("pid", "")),
        exe=tail.get("exe", "") if userspace else call.get("exe", ""),
        detail=" ".join(f"{name}={value}" for name, value in fields.items() if name in DETAIL_FIELDS),
        granted=decision[1] == "granted",
        serial=record.serial,
        time=record.time,
        userspace=userspace,
        raw_source="" if record.partial else tail.get("srawcon", ""),
        raw_target="" if record.partial else tail.get("trawcon", ""),
    )


def _is_open(text: str) -> bool:
    """Return whether the message of an object manager lacks its end."""
    opened = text.find("msg='")
    return opened >= 0 and text.find("'", opened + 5) < 0


def _sibling(event: Sequence[Record], kind: str) -> Mapping[str, str]:
    return next((record.fields for record in event if record.type == kind), {})


def _path(fields: Mapping[str, str], event: Sequence[Record]) -> str:
    """Return the path of the denial's object.

    An event has several PATH records, also for parent directories: only the one with the same inode is the
    object's.
    """
    if fields.get("path"):
        return fields["path"]
    for record in event:
        if record.type == "AVC_PATH":
            return record.fields.get("path", "") or fields.get("name", "")
        if record.type == "PATH" and fields.get("ino") and record.fields.get("inode") == fields["ino"]:
            return _absolute(record.fields.get("name", ""), event) or fields.get("name", "")
    return fields.get("name", "")


def _absolute(name: str, event: Sequence[Record]) -> str:
    if not name or name == "(null)":
        return ""
    if name.startswith("/"):
        return name
    directory = _sibling(event, "CWD").get("cwd", "")
    return f"{directory.rstrip('/')}/{name}" if directory.startswith("/") else name


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else None
