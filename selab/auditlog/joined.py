"""Split a line into the records on it. Logs lose line ends, and cut one record before the next begins.

A mixture of two records would be a denial that no process caused. So the beginning of a record ends the one
before it, also without a separator. A beginning contains a blank, and the kernel never writes a blank into
what a process may choose, so a name or a path cannot imitate it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from selab.auditlog.losses import BEGINNINGS

TYPE = r"[A-Z][A-Z_0-9]{1,39}|UNKNOWN\[\d{1,5}\]"
_HEAD = (
    r"(?:node=(?P<node>\S{1,255})[ \t]++)?"
    rf"(?:(?:type=)?(?P<type>{TYPE}|\d{{4}})[ \t]++)?"
    r"(?P<msg>msg=)?audit\((?P<stamp>[^()\n]{1,64}?):(?P<serial>\d{1,20})\)[ ]?:[ ]?"
)
HEADER = re.compile(_HEAD, re.ASCII)
_BEGINNING = re.compile(
    rf"(?:(?<!\S)|(?=type=|node=)){_HEAD}"
    rf"|audit(?:\[\d{{1,10}}\])?:[ \t]++(?P<sent>{TYPE}|<audit-\d{{1,5}}>)[ \t]"
    rf"|(?:\A|(?=type=|(?:USER_)?(?:AVC|SELINUX_ERR)[ \t]))(?:type=)?(?P<named>{TYPE}|\d{{4}})[ \t]++"
    r"(?=avc:|op=|user pid=|[a-z]{1,20}=(?!audit\())"
    r"|(?P<decision>avc:)\s++(?:denied|granted)\b"
    rf"|(?P<loss>{BEGINNINGS})",
    re.ASCII,
)
_DAEMON = re.compile(r"(?:(?<!audit)(?<=\S)\[\d{1,10}\]: |selinux: )$", re.ASCII)
_END = re.compile(
    r"\stclass=[\w.-]+\s+(?:permissive=[01](?![\w:./-])|(?:exe|sauid|hostname|addr|terminal|app)=)", re.ASCII
)
_CUTHEADER = re.compile(r"type=(?:(?:USER_)?(?:AVC|SELINUX_ERR)\b|14\d\d)", re.ASCII)
"""In a record's own text this is a header that was cut before the next record."""
BRACE = 16
"""The brace of a record's own permissions comes earlier in its text: `avc:  granted  { `."""
OWN_DECISION = r"type=USER_AVC [^{']*msg='avc:  (?:denied|granted)  \{[^{]*\Z"
"""A line whose only decision is that of an object manager: one quote, and one brace, is before it."""
_OWN_DECISION = re.compile(OWN_DECISION, re.ASCII)
_COMMAND = 'cmdline="'


class Piece(NamedTuple):
    """A part of a line that is one record.

    kind: type as the line has it; empty if the part is a notice or unreadable.
    text: what follows the header.
    node, stamp, serial: parts of the header; empty, and None, without one.
    source: how the record came here, see `records.Record`.
    is_whole: whether the record's end is certain, although something follows it on the line.
    """

    kind: str
    text: str
    node: str = ""
    stamp: str = ""
    serial: int | None = None
    source: str = ""
    is_whole: bool = True


def is_single(text: str, start: int) -> bool:
    """Return whether no second record that matters begins in a line whose first record's text is at `start`.

    The searches for one character are the fastest, and decide for most lines.
    """
    return (
        (text.find("(", start) < 0 or text.find("audit(", start) < 0)
        and (text.find("{", start + BRACE) < 0 or _OWN_DECISION.match(text) is not None)
        and (text.find("R", start) < 0 or (text.find("_ERR", start) < 0 and text.find("ER_AVC", start) < 0))
    )


def split(text: str) -> tuple[str, list[Piece]]:
    """Return what stands before the first record of a line, and the records."""
    starts, is_certain = _starts(text)
    if not starts:
        return text, []
    pieces = []
    for place, start in enumerate(starts):
        is_last = place == len(starts) - 1
        end = len(text) if is_last else starts[place + 1].start()
        piece = _piece(text, start, end)
        if is_last:
            pieces.append(piece if is_certain else Piece("", text[start.start() :], is_whole=False))
            continue
        pieces.append(piece._replace(is_whole=_shows_its_end(piece)))
        if cut := _CUTHEADER.search(piece.text):
            pieces.append(Piece("", piece.text[cut.start() :], is_whole=False))
    return text[: starts[0].start()], pieces


def _starts(text: str) -> tuple[list[re.Match[str]], bool]:
    """Return where records begin, and whether that is certain.

    A beginning inside a `msg='...'` does not count: an object manager puts a command line there that a user
    chose. It is uncertain whether one after an unclosed quote belongs to a command line.
    """
    starts: list[re.Match[str]] = []
    opened = closed = 0
    for start in _BEGINNING.finditer(text):
        if opened < start.start() < closed:
            continue
        if starts and _belongs_to(text, starts[-1], start):
            continue
        if starts and _is_in_command(text, starts[-1].end(), start.start()):
            return starts, False
        starts.append(start)
        if 0 <= opened < start.end():  # otherwise the quote that the last search found is still the next one
            opened = text.find("msg='", start.end())
            quote = text.find("'", opened + 5) if opened >= 0 else -1
            is_cut = quote < 0 or text[quote - 4 : quote] == "msg="
            closed = 0 if is_cut else quote
    return starts, True


def _belongs_to(text: str, last: re.Match[str], start: re.Match[str]) -> bool:
    """Return whether `start` is the decision that the record `last` consists of."""
    if not start["decision"] or last["decision"] or last["loss"]:
        return False
    between = text[last.end() : start.start()]
    return not between.strip() or (
        (last["type"] or last["sent"] or last["named"] or "").startswith("USER_")
        and between.count("msg='") == 1
        and between.endswith("msg='")
    )


def _is_in_command(text: str, begin: int, end: int) -> bool:
    command = text.rfind(_COMMAND, begin, end)
    return command >= 0 and text.find('"', command + len(_COMMAND), end) < 0


def _piece(text: str, start: re.Match[str], end: int) -> Piece:
    body = text[start.end() : end]
    if start["serial"]:
        source = "log" if start["msg"] else "kernel"
        kind = start["type"] or ("AVC" if body.lstrip().startswith("avc:") else "")
        if not kind:
            return Piece("", text[start.start() : end], is_whole=False)
        return Piece(kind, body, start["node"] or "", start["stamp"], int(start["serial"]), source)
    if start["loss"]:
        return Piece("", text[start.start() : end])
    if start["decision"]:
        place = start.start()
        kind = "USER_AVC" if _DAEMON.search(text, max(0, place - 64), place) else "AVC"
        return Piece(kind, text[place:end], source="bare")
    return Piece(start["sent"] or start["named"], body, source="journal")


def _shows_its_end(piece: Piece) -> bool:
    """Return whether a record is whole, by what it contains: it may be cut before the next record."""
    if piece.kind.startswith("USER_"):
        opened = piece.text.find("msg='")
        return opened >= 0 and piece.text.find("'", opened + 5) >= 0
    if piece.kind in ("SELINUX_ERR", "1401"):
        return False
    return "avc:" not in piece.text or (_END.search(piece.text) is not None and "rawcon=" not in piece.text)
