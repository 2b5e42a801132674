"""Audit records out of the journal, as lines of audit.log."""

from __future__ import annotations

import json
import re
from typing import Any

from selab.auditlog.names import type_names

SUPPRESSED = b"kauditd_printk_skb"
"""The function whose name the kernel prints when it has left records out (kernel/audit.c, lib/ratelimit.c)."""
_PRINTED = re.compile(rb"audit: type=(\d+) (audit\(\d+\.\d+:\d+\): .*)", re.DOTALL)


def raw_from_journal(entries: bytes) -> bytes:
    """Entries of `journalctl --output=json` as lines of audit.log; what is no audit record is left out.

    A record may be there twice: as the kernel printed it, and from its audit socket, where journald listens to that. Then the socket's
    is taken. Fields: systemd.journal-fields(7), journald-audit.c; a message with odd bytes is a list of numbers. What a process writes to
    /dev/kmsg has never the kernel's facility, 0 (Documentation/ABI/testing/dev-kmsg).
    """
    printed, sent = [], []
    for line in entries.splitlines():
        try:
            entry = json.loads(line)
            if entry["_TRANSPORT"] == "audit":
                sent.append(_from_socket(entry))
            elif entry.get("SYSLOG_FACILITY", "0") == "0" and (found := _PRINTED.fullmatch(_message(entry))):
                name = type_names().get(found.group(1).decode(), f"UNKNOWN[{found.group(1).decode()}]")
                printed.append(f"type={name} msg=".encode() + found.group(2).replace(b"\n", b" "))
        except (ValueError, KeyError, TypeError):
            continue
    return b"\n".join(sent or printed)


def _message(entry: dict[str, Any]) -> bytes:
    message = entry["MESSAGE"]
    return bytes(message) if isinstance(message, list) else str(message).encode("utf-8", "surrogateescape")


def _from_socket(entry: dict[str, Any]) -> bytes:
    stamp, serial = int(entry["_SOURCE_REALTIME_TIMESTAMP"]), int(entry["_AUDIT_ID"])
    name = str(entry["_AUDIT_TYPE_NAME"])
    body = _message(entry).removeprefix(name.encode() + b" ").replace(b"\n", b" ")
    return f"type={name} msg=audit({stamp // 1_000_000}.{stamp // 1000 % 1000:03}:{serial}): ".encode() + body
