"""Parse the `name=value` fields of a record's text, and decode what the kernel encodes in hex.

The kernel quotes what a process or a user may choose, and writes it as upper-case hex if it contains a quote,
a blank or a byte outside printable ASCII (kernel/audit.c: audit_log_n_untrustedstring). Numbers look like
such hex, so the field's name decides.
"""

from __future__ import annotations

import re

from selab.auditlog.names import ENCODED_FIELDS

_NAME = r"[A-Za-z_][A-Za-z0-9_.-]{0,63}"
_RAW = re.compile(
    rf"(?:^|(?<=[\s'{{\x1d]))({_NAME})=(\"[^\"]*\"|'(?={_NAME}=|avc:|\w)|[^\s'\x1d]*)", re.ASCII
)
_INTERPRETED = re.compile(rf"(?:^|[\s'{{])({_NAME})=", re.ASCII)
_HEX = re.compile(r"(?:[0-9A-F]{2})+", re.ASCII)
_ARGUMENT = re.compile(r"a\d{1,5}(?:\[\d{1,5}\])?", re.ASCII)


def parse_fields(text: str, record_type: str = "", interpreted: bool = False) -> dict[str, str]:
    """Parse the fields of `text`; the first field of a name applies.

    `interpreted` means that `ausearch -i` wrote the text, with bare and decoded values.
    """
    if interpreted:
        return _parse_interpreted(text)
    fields: dict[str, str] = {}
    for name, value in _RAW.findall(text):
        if name not in fields and value != "'":
            fields[name] = _decode(name, value, record_type)
    return fields


def _parse_interpreted(text: str) -> dict[str, str]:
    """Parse bare values, which may contain blanks: a value ends before the next name."""
    fields: dict[str, str] = {}
    names = list(_INTERPRETED.finditer(text))
    ends = [*(name.start() for name in names[1:]), len(text)][: len(names)]
    for name, end in zip(names, ends, strict=True):
        value = text[name.end() : end].strip(" '\x1d")
        if name[1] not in fields:
            fields[name[1]] = value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value
    return fields


def _decode(name: str, value: str, record_type: str) -> str:
    if value[:1] == '"' and len(value) > 1:
        return value[1:-1]
    if _HEX.fullmatch(value) and (
        name in ENCODED_FIELDS or (record_type == "EXECVE" and _ARGUMENT.fullmatch(name))
    ):
        return _from_hex(name, value)
    return value


def _from_hex(name: str, value: str) -> str:
    data = bytes.fromhex(value)
    if name == "proctitle":
        data = data.rstrip(b"\0").replace(b"\0", b" ")
    elif name == "path" and data[:1] == b"\0":
        data = b"@" + data[1:].rstrip(b"\0")
    return data.decode("utf-8", "backslashreplace")
