"""Convert audit records in the journal to lines of audit.log."""

from __future__ import annotations

import json
import re
from typing import Any

from selab.auditlog.names import type_names

SUPPRESSED = b"kauditd_printk_skb"
"""The kernel logs this function's name when it has suppressed records (kernel/audit.c, lib/ratelimit.c)."""
_PRINTED = re.compile(rb"audit: type=(\d+) (audit\(\d+\.\d+:\d+\): .*)", re.DOTALL)


def raw_from_journal(entries: bytes) -> bytes:
    """Convert entries of `journalctl --output=json` to lines of audit.log, without other entries."""
    return read_journal(entries)[0]


def read_journal(entries: bytes) -> tuple[bytes, int]:
    """Return the lines of audit.log, and the number of entries that are unreadable and may be records.

    If journald listens to the audit socket, a record is in the journal twice: from the socket, which is used,
    and as the kernel printed it. Fields are documented in systemd.journal-fields(7) and journald-audit.c; a
    message with unprintable bytes is a list of numbers. What a process writes to /dev/kmsg never has the
    kernel's facility, 0 (Documentation/ABI/testing/dev-kmsg).
    """
    printed, sent, unreadable = [], [], 0
    for line in entries.splitlines():
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            unreadable += 1
            continue
        try:
            if entry["_TRANSPORT"] == "audit":
                sent.append(_from_socket(entry))
            elif entry.get("SYSLOG_FACILITY", "0") == "0" and (match := _PRINTED.fullmatch(_message(entry))):
                name = type_names().get(match.group(1).decode(), f"UNKNOWN[{match.group(1).decode()}]")
                printed.append(f"type={name} msg=".encode() + match.group(2).replace(b"\n", b" "))
        except (ValueError, KeyError, TypeError, RecursionError):
            unreadable += not isinstance(entry, dict) or entry.get("_TRANSPORT") == "audit"
    return b"\n".join(sent or printed), unreadable


def entry_line(entry: dict[str, Any]) -> str | None:
    """Return the text of one entry, in the form of audit.log if it came from the audit socket.

    None means that the document is no entry of the journal, or an incomplete one.
    """
    if "MESSAGE" not in entry or "_TRANSPORT" not in entry:
        return None
    try:
        message = _from_socket(entry) if entry["_TRANSPORT"] == "audit" else _message(entry)
    except (ValueError, KeyError, TypeError):
        return None
    return message.decode("utf-8", "backslashreplace").replace("\n", " ")


def _message(entry: dict[str, Any]) -> bytes:
    message = entry["MESSAGE"]
    return bytes(message) if isinstance(message, list) else str(message).encode("utf-8", "surrogateescape")


def _from_socket(entry: dict[str, Any]) -> bytes:
    stamp, serial = int(entry["_SOURCE_REALTIME_TIMESTAMP"]), int(entry["_AUDIT_ID"])
    name = str(entry["_AUDIT_TYPE_NAME"])
    body = _message(entry).removeprefix(name.encode() + b" ").replace(b"\n", b" ")
    return f"type={name} msg=audit({stamp // 1_000_000}.{stamp // 1000 % 1000:03}:{serial}): ".encode() + body
