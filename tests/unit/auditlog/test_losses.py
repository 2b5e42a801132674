"""Notices that records were lost on their way to a log."""

from __future__ import annotations

import pytest

from selab.auditlog.losses import Cause, Loss, Losses, loss_in


@pytest.mark.parametrize(
    ("line", "loss"),
    [
        ("[ 1.2] audit: audit_lost=12 audit_rate_limit=0 audit_backlog_limit=64", Loss(Cause.LOST, 12)),
        ("[ 1.2] kauditd_printk_skb: 127 callbacks suppressed", Loss(Cause.SUPPRESSED, 127)),
        ("host kernel: audit_printk_skb: 3 callbacks suppressed", Loss(Cause.SUPPRESSED, 3)),
        ("audit: backlog limit exceeded", Loss(Cause.OVERFLOW, 1)),
        ("audit: rate limit exceeded", Loss(Cause.OVERFLOW, 1)),
        ("audit: kauditd hold queue overflow", Loss(Cause.OVERFLOW, 1)),
        ("audit: audit_backlog=65 > audit_backlog_limit=64", Loss(Cause.OVERFLOW, 1)),
        (
            "host systemd-journald[361]: Suppressed 2481 messages from dbus-broker.service",
            Loss(Cause.JOURNAL, 2481),
        ),
        ("host systemd-journald[361]: Missed 14 kernel messages", Loss(Cause.JOURNAL, 14)),
        ("host audispd[9]: queue is full - dropping event", Loss(Cause.DAEMON, 1)),
        ("host rsyslogd[7]: imjournal: 55 messages lost due to rate-limiting", Loss(Cause.DAEMON, 1)),
    ],
)
def test_a_notice_is_a_loss(line: str, loss: Loss) -> None:
    assert loss_in(line) == loss


@pytest.mark.parametrize(
    "line",
    ["net_ratelimit: 5 callbacks suppressed", "audit: initializing netlink subsys", "lost 12 messages"],
)
def test_a_notice_of_something_else_is_none(line: str) -> None:
    assert loss_in(line) is None


def test_the_kernels_counter_is_a_total_until_the_next_boot() -> None:
    losses = Losses()
    for total in (3, 12, 12, 2, 5):
        losses.add(Loss(Cause.LOST, total))
    assert losses.reasons() == (Cause.LOST.value.format(count=17),)


def test_other_notices_are_added_up() -> None:
    losses = Losses()
    for count in (100, 27):
        losses.add(Loss(Cause.SUPPRESSED, count))
    assert losses.reasons() == (Cause.SUPPRESSED.value.format(count=127),)
