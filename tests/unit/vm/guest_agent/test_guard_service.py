"""When the guard acts: the orders on its pipe, and its service."""

from __future__ import annotations

import os

import pytest

from selab.vm.guest_agent import guard

from .conftest import GuardedGuest


@pytest.mark.parametrize(
    ("order", "command"),
    [
        (b"60\n", (60.0, False)),
        (b"60\noff\n", (None, False)),
        (b"off\n5\n", (5.0, False)),
        (b"60\nrest\n", (guard.REST, True)),
        (b"\n", (None, False)),
        (b"nonsense\n", (0.0, False)),
    ],
)
def test_the_last_order_counts(order: bytes, command: tuple[float | None, bool]) -> None:
    reading, writing = os.pipe()
    os.write(writing, order)
    assert guard.read_command(reading) == command
    os.close(writing)
    os.close(reading)


def test_orders_are_read_a_page_at_a_time() -> None:
    reading, writing = os.pipe()
    os.write(writing, b" " * 4096 + b"5")
    assert [guard.read_command(reading) for _ in range(2)] == [(None, False), (5.0, False)]
    os.close(writing)
    os.close(reading)


def test_a_pipe_that_may_not_be_read_is_a_reason_to_act(capfd: pytest.CaptureFixture[str]) -> None:
    reading, writing = os.pipe()
    os.close(writing)
    os.close(reading)
    assert guard.read_command(reading) == (0.0, False)
    assert "the guard's pipe: " in capfd.readouterr().err


class Interrupted(Exception):
    """The end of a service that would run for ever."""


class Service:
    """Runs the guard's service through `events`: an order that arrives in time, or None for its time-out.

    waits: seconds that each poll may take, or None without a limit.
    restored: the images that were restored; each attempt has the outcome of `outcomes`.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.waits, self.restored = 100.0, list[float | None](), list[bytes]()
        self.outcomes = iter([True])
        self.events = iter(list[bytes | None]())
        monkeypatch.setattr(guard.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(guard.select, "poll", lambda: self)
        monkeypatch.setattr(guard, "restore_base", self._restore)

    def _restore(self, image: bytes) -> bool:
        self.restored.append(image)
        return next(self.outcomes)

    def register(self, pipe: int, events: int) -> None:
        assert events == guard.select.POLLIN
        self.pipe = pipe

    def poll(self, milliseconds: float | None) -> list[int]:
        self.waits.append(None if milliseconds is None else milliseconds / 1000)
        event = next(self.events, b"")
        if event == b"":
            os.close(self.pipe)
            raise Interrupted
        if event is None:
            assert milliseconds is not None, "nothing would end this wait"
            self.now += milliseconds / 1000
            return []
        os.write(self.pipe, event)
        return [self.pipe]

    def run(self, *events: bytes | None) -> list[float | None]:
        """Return the limits of the waits, the last of which is that after the last event."""
        self.events = iter(events)
        with pytest.raises(Interrupted):
            guard.serve()
        return self.waits


@pytest.fixture
def service(guest: GuardedGuest, monkeypatch: pytest.MonkeyPatch) -> Service:
    """The service in a guest under its base policy, in which no run has changed the mode."""
    guest.path("/run/selab/mode").unlink()
    guest.path("/run/selab/loaded").unlink()
    return Service(monkeypatch)


def arm(guest: GuardedGuest) -> None:
    """Let a run change the mode and load a candidate, after the guard has started."""
    guest.write("/run/selab/mode", "0\n")
    guest.write("/run/selab/loaded", "digest 7\n")


def test_a_guard_that_nothing_armed_waits_without_a_limit(service: Service) -> None:
    assert (service.run(), service.restored) == ([None], [])


def test_a_guard_that_was_restarted_while_it_was_armed_is_armed(
    guest: GuardedGuest, service: Service
) -> None:
    arm(guest)
    assert service.run(None) == [guard.LIMIT, None]
    assert service.restored == [b""]  # the policy in force is the candidate


def test_the_base_policy_is_restored_when_the_time_is_up(
    guest: GuardedGuest, service: Service, capfd: pytest.CaptureFixture[str]
) -> None:
    guest.write("/run/selab/mode", "0\n")
    assert service.run(b"40\n", None) == [guard.LIMIT, 40.0, None]
    assert service.restored == [b"base"]
    assert "no command disarmed the guard in time" in capfd.readouterr().err


def test_a_restoration_that_fails_is_tried_again_until_it_succeeds(
    guest: GuardedGuest, service: Service
) -> None:
    arm(guest)
    service.outcomes = iter([False, False, True])
    assert service.run(b"40\n", None, None, None) == [guard.LIMIT, 40.0, guard.AGAIN, guard.AGAIN, None]


@pytest.mark.parametrize("order", [b"off\n", b"30\noff\n"])
def test_a_guard_that_was_disarmed_restores_nothing(
    guest: GuardedGuest, service: Service, order: bytes
) -> None:
    arm(guest)
    assert (service.run(b"40\n", order), service.restored) == ([guard.LIMIT, 40.0, None], [])


def test_an_order_that_arrives_after_the_deadline_still_counts(guest: GuardedGuest, service: Service) -> None:
    arm(guest)
    service.run(b"0\n")
    assert service.restored == [b""]
    service.restored.clear()
    start = service.poll

    def late(milliseconds: float | None) -> list[int]:
        service.now += 1000
        return start(milliseconds)

    service.poll = late  # type: ignore[method-assign]
    service.run(b"off\n")
    assert service.restored == []


def test_a_mode_that_was_restored_meanwhile_needs_no_guard(guest: GuardedGuest, service: Service) -> None:
    guest.write("/run/selab/loaded", "digest 7\n")
    assert (service.run(b"40\n", None), service.restored) == ([None, 40.0, None], [])


@pytest.mark.parametrize("loaded", [True, False])
def test_a_candidate_that_rests_is_undone_at_last(
    guest: GuardedGuest, service: Service, loaded: bool
) -> None:
    if loaded:
        guest.write("/run/selab/loaded", "digest 7\n")
    assert service.run(b"rest\n", None) == [None, guard.REST, None]
    assert len(service.restored) == loaded


def test_the_service_leaves_its_pipe_and_its_process_id(guest: GuardedGuest, service: Service) -> None:
    pipe = guest.path("/run/selab/guard")
    service.run()
    service.run()
    assert pipe.is_fifo() and pipe.stat().st_mode & 0o777 == 0o600
    assert guest.path("/run/selab/guard.pid").read_text() == f"{os.getpid()}\n"


def test_a_guard_creates_its_directory(guest: GuardedGuest, service: Service) -> None:
    guest.path("/run/selab").rmdir()
    service.run()
    assert guest.path("/run/selab/guard").is_fifo()


def test_a_guard_that_was_restarted_counts_no_candidate_as_resting(
    guest: GuardedGuest, service: Service
) -> None:
    """The run that armed it restored the mode meanwhile, and may still need the candidate that it loaded."""
    arm(guest)
    wait = service.poll

    def restored_meanwhile(milliseconds: float | None) -> list[int]:
        guest.path("/run/selab/mode").unlink(missing_ok=True)
        return wait(milliseconds)

    service.poll = restored_meanwhile  # type: ignore[method-assign]
    assert (service.run(None), service.restored) == ([guard.LIMIT, None], [])
