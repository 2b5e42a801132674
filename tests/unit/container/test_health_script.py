"""The script that waits until a container is healthy, run with sh in a sandbox with a fake runtime."""

from __future__ import annotations

import pytest

from selab.guest import script_argv

from .container_guest import ContainerGuest, count_seconds

PING = ("redis-cli", "ping")


def awaited(guest: ContainerGuest, *command: str, pid: int = 77, limit: int = 3) -> tuple[int, str]:
    done = guest.run(
        script_argv("container/await-health", str(pid), "selab-db", str(limit), "docker", *command)
    )
    return done.returncode, done.text


@pytest.fixture(autouse=True)
def clock(guest: ContainerGuest) -> None:
    count_seconds(guest)


def test_a_container_is_healthy_when_the_command_succeeds(guest: ContainerGuest) -> None:
    guest.runtime(exec='[ "$2 $3 $4" = "selab-db redis-cli ping" ] && [ -e ready ]')
    guest.program("sleep", f'touch "{guest.root}/ready"')
    assert awaited(guest, *PING) == (0, "")


def test_the_last_line_of_the_command_says_why_a_container_is_not_healthy(guest: ContainerGuest) -> None:
    guest.runtime(exec="echo first; echo refused >&2; exit 1")
    assert awaited(guest, *PING) == (1, "was not healthy within 3 seconds: refused\n")


def test_a_command_that_prints_nothing_gives_no_reason(guest: ContainerGuest) -> None:
    guest.runtime(exec="exit 1")
    assert awaited(guest, *PING) == (1, "was not healthy within 3 seconds\n")


def test_a_container_that_ends_is_not_awaited(guest: ContainerGuest) -> None:
    guest.runtime(exec="exit 1")
    assert awaited(guest, *PING, pid=79) == (1, "ended before it was healthy\n")


def test_without_a_command_the_check_of_the_image_counts(guest: ContainerGuest) -> None:
    guest.runtime(inspect='[ "$4" = selab-db ] && if [ -e ready ]; then echo healthy; else echo starting; fi')
    guest.program("sleep", f'touch "{guest.root}/ready"')
    assert awaited(guest) == (0, "")


def test_an_image_without_a_check_is_reported_at_once(guest: ContainerGuest) -> None:
    guest.runtime(inspect="echo none")
    assert awaited(guest, limit=60) == (1, "has no health check: write one in the scenario\n")
