"""Find the notices that records were lost or suppressed on their way to a log."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class Cause(StrEnum):
    """What kept records out of a log, as a sentence that `{count}` completes."""

    LOST = "the kernel lost {count} audit records (audit_lost)"
    OVERFLOW = "the kernel's audit queue was full or its rate limit was exceeded ({count} notices)"
    SUPPRESSED = "the kernel's log suppressed {count} audit messages"
    JOURNAL = "the journal suppressed or missed {count} messages"
    DAEMON = "the audit daemon or the system log dropped messages ({count} notices)"


@dataclass(frozen=True)
class Loss:
    """A notice that a log is incomplete.

    cause: what kept the records out.
    count: number that the notice has for it; 1 for a notice without a number. The number of LOST is the total
        since boot.
    """

    cause: Cause
    count: int


_OVERFLOWS = (
    r"backlog limit exceeded|rate limit exceeded|printk limit exceeded|out of memory in |"
    r"audit_backlog=\d|kauditd \w{1,16} queue overflow"
)
_NOTICES = (
    (Cause.LOST, r"audit: audit_lost=(?P<lost>\d{1,18})"),
    (Cause.OVERFLOW, rf"audit: (?:{_OVERFLOWS})"),
    (Cause.SUPPRESSED, r"k?audit[a-z_]{0,32}: (?P<suppressed>\d{1,18}) callbacks suppressed"),
    (Cause.JOURNAL, r"(?:Suppressed|Missed) (?P<journal>\d{1,18}) (?:kernel )?messages\b"),
    (
        Cause.DAEMON,
        r"(?:auditd|audispd|audisp-\w{1,16})(?:\[\d{1,10}\])?: "
        r"[^\n]{0,80}?(?:queue (?:is )?full|event lost|dropping event)"
        r"|(?:imjournal|imuxsock)\b[^\n]{0,80}?(?:messages lost|lost \d{1,18} messages|to drop messages)",
    ),
)
"""The messages of the kernel (kernel/audit.c: audit_log_lost, audit_log_start, kauditd_hold_skb;
lib/ratelimit.c), of journald (journald-rate-limit.c, journald-kmsg.c), of auditd and its dispatcher, and of
rsyslog."""
BEGINNINGS = "|".join(re.sub(r"\?P<\w+>", "?:", pattern) for _, pattern in _NOTICES)
"""What a notice begins with, as a pattern without groups of its own."""
_WORDS = re.compile("|".join(f"(?P<{cause.name}>{pattern})" for cause, pattern in _NOTICES), re.ASCII)


def loss_in(text: str) -> Loss | None:
    """Return the first notice in a text that is no audit record."""
    notice = _WORDS.search(text)
    if notice is None:
        return None
    cause = next(cause for cause in Cause if notice[cause.name] is not None)
    count = notice["lost"] or notice["suppressed"] or notice["journal"]
    return Loss(cause, int(count) if count else 1)


class Losses:
    """Counts the notices of a log."""

    def __init__(self) -> None:
        self._counts: dict[Cause, int] = {}
        self._since_boot = 0

    def add(self, loss: Loss) -> None:
        count = loss.count
        if loss.cause is Cause.LOST:
            # The number only grows until the machine boots.
            before, self._since_boot = self._since_boot, count
            count -= before if count >= before else 0
        self._counts[loss.cause] = self._counts.get(loss.cause, 0) + count

    def reasons(self) -> tuple[str, ...]:
        """Return why the log is incomplete, one sentence for each cause."""
        return tuple(
            cause.value.format(count=self._counts[cause]) for cause in Cause if self._counts.get(cause)
        )
