"""A service runs during a block, and what the guest says about it is read strictly."""

from __future__ import annotations

import pickle

import pytest

from selab.errors import CommandFailed, InputError, SelabError, Unreachable
from selab.guest import script
from selab.policy.guest.relabel import contexts_file
from selab.scenario.service import Service
from selab.service.lifecycle import (
    NO_CONTEXTS,
    RunningService,
    ServiceRefused,
    observe,
    restore_services,
    running_service,
    transient_words,
    unit_of,
)
from tests.unit.fakes import FakeGuest

from .service_guest import DOMAIN, INIT, NEW, UNIT, WEB

EMPTY = contexts_file(NO_CONTEXTS)
START, STOP, RESTORE = (script(f"service/{name}") for name in ("start", "stop", "restore"))
STARTED = f"invocation {NEW}\nresult success\ncode 0\nstatus 0\npid 77\nlabel {WEB}\nend\n"
STOPPED = f"active active\nrestarts 0\nresult success\ncode 0\nstatus 0\nlabel {WEB}\nend\n"
WEB_SERVICE, FOO = Service(unit="web"), Service(command=("/usr/sbin/foo", "-f", "$A"), user="daemon")


def guest_with(start: str = STARTED, stop: str = STOPPED, code: int = 0, err: str = "") -> FakeGuest:
    guest = FakeGuest()
    guest.answer(START, out=start, code=code, err=err)
    guest.answer(STOP, out=stop)
    return guest


def run(guest: FakeGuest, service: Service = WEB_SERVICE, *, keep: bool = False) -> RunningService:
    with running_service(guest, service, "selab-x", DOMAIN, keep=keep) as running:
        pass
    return running


def words(guest: FakeGuest, number: int) -> list[str]:
    return list(guest.commands[number][4:])


def test_a_service_has_a_main_process_and_labels() -> None:
    guest = guest_with(stop=STOPPED.replace("end", f"label {INIT}\nend"))
    with running_service(guest, WEB_SERVICE, "selab-x", DOMAIN) as running:
        assert (running.name, running.pid, running.labels) == (UNIT, 77, {WEB})
    assert (running.labels, running.ended, running.restarted) == ({WEB, INIT}, None, "")
    assert (words(guest, 0), words(guest, 1)) == ([UNIT, DOMAIN, EMPTY], [UNIT, "0"])


def test_a_service_can_remain() -> None:
    guest = guest_with()
    run(guest, keep=True)
    assert words(guest, 1) == [UNIT, "1"]


def test_a_command_is_a_transient_unit() -> None:
    guest = guest_with()
    assert run(guest, FOO).name == "selab-x.service"
    assert words(guest, 0) == ["selab-x.service", DOMAIN, EMPTY, *transient_words(FOO, "selab-x.service")]


def test_systemd_replaces_nothing_in_a_command() -> None:
    words = transient_words(FOO, "x.service")
    assert words[words.index("--") :] == ["--", "/usr/sbin/foo", "-f", "$$A"]
    assert {"--unit=x.service", "--uid=daemon", "--service-type=exec", "--remain-after-exit"} <= {*words}
    assert not any(
        word.startswith("--uid") for word in transient_words(Service(command=("/x",)), "x.service")
    )


def test_a_unit_of_the_guest_keeps_its_name() -> None:
    assert (unit_of(WEB_SERVICE, "selab-x"), transient_words(WEB_SERVICE, UNIT)) == (UNIT, [])


def test_the_log_is_that_of_this_start() -> None:
    running = run(guest_with())
    match = f"_SYSTEMD_INVOCATION_ID={NEW}"
    assert running.log_argv == ["journalctl", "--quiet", "--no-pager", "--output=cat", match]
    assert running.tail_argv == ["journalctl", "--quiet", "--no-pager", "--output=cat", "--lines=8", match]


@pytest.mark.parametrize(("seconds", "limit"), [(60.0, "60"), (0.5, "1")])
def test_a_step_waits_for_the_end_of_the_main_process(seconds: float, limit: str) -> None:
    assert run(guest_with()).end_argv(seconds)[4:] == ["77", UNIT, limit]


@pytest.mark.parametrize(
    ("answer", "ended", "words"),
    [
        ({"active active": "active failed", "code 0": "code 1", "status 0": "status 1"}, 1, "with status 1"),
        ({"active active": "active inactive"}, 0, "systemd reports 'success'"),
        ({"code 0": "code 1"}, 0, "with status 0"),
        ({"code 0": "code 2", "status 0": "status 11"}, 139, "signal 11 ended its main process"),
    ],
)
def test_a_service_that_ended_before_it_was_stopped_says_how(
    answer: dict[str, str], ended: int, words: str
) -> None:
    stop = STOPPED
    for before, after in answer.items():
        stop = stop.replace(before, after)
    running = run(guest_with(stop=stop))
    assert running.ended == ended and words in running.end


def test_how_a_service_ended_is_what_was_observed_first() -> None:
    guest = guest_with(stop=STOPPED)
    with running_service(guest, WEB_SERVICE, "selab-x", DOMAIN) as running:
        observe(guest, running)
        guest.rules.insert(0, ((STOP,), lambda _: (0, STOPPED.replace("active active", "active failed"), "")))
    assert (running.ended, [words(guest, 1), words(guest, 2)]) == (None, [[UNIT, "1"], [UNIT, "0"]])


@pytest.mark.parametrize(("count", "times"), [(1, "once"), (3, "3 times")])
def test_a_restart_by_systemd_is_reported(count: int, times: str) -> None:
    stop = STOPPED.replace("restarts 0", f"restarts {count}").replace("code 0\nstatus 0", "code 1\nstatus 2")
    assert run(guest_with(stop=stop)).restarted == f"{times}: its main process ended with status 2"


def test_a_restarted_service_that_runs_has_no_end_to_report() -> None:
    running = run(guest_with(stop=STOPPED.replace("restarts 0", "restarts 1")))
    assert (running.restarted, running.ended) == ("once", None)


REFUSED = f"invocation {NEW}\nresult exit-code\ncode 1\nstatus 203\n"


@pytest.mark.parametrize(
    ("answer", "errors", "reason"),
    [
        (
            REFUSED,
            "Job for web.service failed.\nPermission denied\n\n",
            "its main process ended with status 203 "
            "(EXEC: the program could not be executed): Permission denied",
        ),
        (
            "invocation \nresult timeout\ncode 0\nstatus 0\n",
            'Job for web.service failed.\nSee "systemctl status web.service" for details.\n',
            "systemd reports 'timeout': Job for web.service failed.",
        ),
        ("invocation \nresult success\ncode \nstatus \n", "", "systemd reports 'success': it logged nothing"),
    ],
)
def test_a_service_that_does_not_start_is_an_outcome(answer: str, errors: str, reason: str) -> None:
    guest = guest_with(start=answer, code=1, err=errors)
    with pytest.raises(ServiceRefused) as caught:
        run(guest)
    assert (caught.value.reason, words(guest, 1)) == (reason, [UNIT, "0"])


def test_a_refusal_survives_its_way_between_processes() -> None:
    refused = pickle.loads(pickle.dumps(ServiceRefused(UNIT, "why", "web")))
    assert (refused.unit, refused.reason, refused.title, str(refused)) == (
        UNIT,
        "why",
        "web",
        f"The service {UNIT} did not start.\nwhy",
    )


@pytest.mark.parametrize(
    ("service", "code", "problem", "hint"),
    [
        (WEB_SERVICE, 3, "no unit web.service", "`packages`"),
        (Service(unit="web", packages=("web",)), 3, "no unit web.service", "list-unit-files"),
        (WEB_SERVICE, 4, "another name", "Use that name"),
    ],
)
def test_a_unit_that_is_not_there_is_wrong_input(
    service: Service, code: int, problem: str, hint: str
) -> None:
    guest = guest_with(code=code, start="", err="masked\n")
    with pytest.raises(InputError, match=problem) as caught:
        run(guest, service)
    assert hint in caught.value.hint and "'masked'" in caught.value.detail
    assert len(guest.commands) == 1


@pytest.mark.parametrize(
    ("code", "problem"), [(5, "could not be stopped"), (6, "could not be created"), (99, "in an unknown way")]
)
def test_a_start_that_fails_otherwise_is_an_error(code: int, problem: str) -> None:
    with pytest.raises(CommandFailed, match=problem):
        run(guest_with(code=code, start="", err="no"))


def test_a_service_that_cannot_be_stopped_is_an_error() -> None:
    guest = FakeGuest()
    guest.answer(START, out=STARTED)
    guest.answer(STOP, code=5, err="no")
    with pytest.raises(CommandFailed, match="could not be stopped"):
        run(guest)


def test_a_service_is_stopped_after_an_error_in_the_block() -> None:
    guest = guest_with()
    with pytest.raises(Unreachable), running_service(guest, WEB_SERVICE, "selab-x", DOMAIN):
        raise Unreachable("It broke.")
    assert len(guest.commands) == 2


@pytest.mark.parametrize(
    "start",
    [
        "",
        STARTED.removesuffix("end\n"),
        STARTED.replace("pid 77", "pid x"),
        STARTED.replace("pid 77\n", ""),
        STARTED.replace(NEW, "x"),
        STARTED.replace(f"invocation {NEW}\n", ""),
        STARTED.replace("result success", "result \x1b[1m"),
        STARTED.replace(WEB, "a:b:\x1b"),
        STARTED.replace(WEB, "-a:b:c"),
        STARTED.replace("code 0", "code x"),
    ],
)
def test_an_answer_without_sense_is_an_error(start: str) -> None:
    with pytest.raises(SelabError, match="makes no sense"):
        run(guest_with(start=start))


@pytest.mark.parametrize("stop", ["", "end", STOPPED.replace("restarts 0", "restarts -1")])
def test_an_answer_without_sense_at_the_end_is_an_error(stop: str) -> None:
    with pytest.raises(SelabError, match="makes no sense"):
        run(guest_with(stop=stop))


def test_a_label_without_a_level_counts_and_a_word_does_not() -> None:
    start = STARTED.replace("end", "label u:r:x_t\nlabel unlabeled\nend")
    assert run(guest_with(start=start)).labels == {WEB, "u:r:x_t"}


def test_services_are_restored() -> None:
    guest = FakeGuest()
    guest.answer(RESTORE)
    restore_services().of(guest)


def test_a_service_that_cannot_be_restored_is_an_error() -> None:
    guest = FakeGuest()
    guest.answer(RESTORE, code=1, err="not restored: a.service\n")
    with pytest.raises(CommandFailed, match="could not be restored") as caught:
        restore_services().of(guest)
    assert "a.service" in caught.value.detail
