"""The scripts of the steps, run with sh in a sandbox with fakes of curl and of the runtime."""

from __future__ import annotations

from pathlib import Path

import pytest

from selab.guest import Completed, script_argv

from .container_guest import ContainerGuest


def request(
    guest: ContainerGuest, *, pid: int = 77, wait: bool = True, contains: str = "", limit: int = 60
) -> Completed:
    words = ["http://127.0.0.1:80/[1]", "200", contains, str(limit), "1" if wait else "0", str(pid)]
    return guest.run(script_argv("container/http", *words))


def serve(guest: ContainerGuest, code: int, body: str = "page") -> None:
    """Let a request be answered with `code` and `body`; then curl says `curl: done` on standard error."""
    (guest.root / "body").write_text(body)
    (guest.root / "code").write_text(f"{code:03}")
    guest.program(
        "curl",
        f'cd "{guest.root}" || exit\n'
        'while [ $# -gt 1 ]; do [ "$1" != --output ] || cat body >"$2"; shift; done\n'
        "cat code; echo 'curl: done' >&2",
    )


def test_an_answer_is_awaited_while_the_container_runs(guest: ContainerGuest) -> None:
    serve(guest, 503, "busy")
    guest.program("sleep", f'cd "{guest.root}" || exit; printf 200 >code; echo works >body')
    done = request(guest, contains="works")
    assert (done.returncode, done.text) == (0, "200\n")
    assert [call.split()[0] for call in guest.called] == ["curl", "sleep", "curl"]
    assert not list(guest.path("/tmp").iterdir())


def test_a_request_takes_no_other_way_and_at_most_the_limit(guest: ContainerGuest) -> None:
    serve(guest, 200)
    request(guest)
    words = guest.called[0].split()
    assert words[words.index("--noproxy") + 1] == "*" and words[words.index("--max-time") + 1] == "60"
    assert words[-2:] == ["--", "http://127.0.0.1:80/[1]"]
    assert "g" in words[1]  # brackets in the URL are not a range


@pytest.mark.parametrize(
    ("contains", "ok"), [("-page.", True), ("page", True), ("-pag.", False), ("Page", False)]
)
def test_the_text_is_no_option_and_no_pattern(guest: ContainerGuest, contains: str, ok: bool) -> None:
    serve(guest, 200, "a -page.")
    assert request(guest, wait=False, contains=contains).ok is ok


def test_a_wrong_answer_is_reported_with_the_beginning_of_its_body(guest: ContainerGuest) -> None:
    serve(guest, 403, "x" * 299 + "yz")
    done = request(guest, wait=False)
    assert (done.returncode, done.text) == (1, f"curl: done\n{'x' * 299}y\n403\n")
    assert [call.split()[0] for call in guest.called] == ["curl"]
    assert not list(guest.path("/tmp").iterdir())


def test_a_container_that_has_ended_is_reported_at_once(guest: ContainerGuest) -> None:
    serve(guest, 0, "")
    done = request(guest, pid=78)
    assert (done.returncode, done.text.splitlines()[-2:]) == (1, ["the container has ended", "000"])
    assert [call.split()[0] for call in guest.called] == ["curl"]


def count_seconds(guest: ContainerGuest) -> None:
    """Let each question for the time take a second."""
    guest.program(
        "date",
        f'cd "{guest.root}" || exit; n=$(cat now 2>/dev/null || echo 5); echo $((n + 1)) >now; echo $n',
    )


def test_no_request_begins_after_the_limit(guest: ContainerGuest) -> None:
    serve(guest, 503)
    count_seconds(guest)
    assert request(guest, limit=3).returncode == 1
    assert [call.split()[0] for call in guest.called].count("curl") == 3


def wait_for_end(guest: ContainerGuest, limit: int = 60) -> Completed:
    return guest.run(script_argv("container/wait-for-end", "77", "selab-web", str(limit), "docker"))


def test_the_exit_code_is_read_after_the_container_has_ended(guest: ContainerGuest) -> None:
    guest.program("sleep", f'rm -r "{guest.root}/proc/77"')
    guest.runtime(
        inspect='[ ! -e proc/77 ] && [ "$3" = "{{.State.Running}} {{.State.ExitCode}}" ] && '
        '[ "$4" = selab-web ] && echo false 3'
    )
    done = wait_for_end(guest)
    assert (done.returncode, done.text) == (0, "3\n")


def test_the_exit_code_is_not_read_before_the_runtime_knows_it(tmp_path: Path) -> None:
    """Until then it is 0, which a step may expect."""
    guest = ContainerGuest(tmp_path)
    guest.runtime(inspect="if [ -e noticed ]; then echo false 3; else echo true 0; fi")
    guest.program("sleep", f'touch "{guest.root}/noticed"')
    done = wait_for_end(guest)
    assert (done.returncode, done.text) == (0, "3\n")


def test_an_end_that_the_runtime_does_not_notice_is_an_error(tmp_path: Path) -> None:
    guest = ContainerGuest(tmp_path)
    guest.runtime(inspect="echo true 0")
    done = wait_for_end(guest)
    assert (done.returncode, done.text) == (4, "")


def test_a_container_that_still_runs_at_the_limit_has_no_exit_code(guest: ContainerGuest) -> None:
    count_seconds(guest)
    done = wait_for_end(guest, 3)
    assert (done.returncode, done.text, guest.runtime_calls.count("docker")) == (
        1,
        "it still runs after 3 seconds\n",
        0,
    )


def test_a_runtime_that_does_not_know_the_exit_code_is_an_error(tmp_path: Path) -> None:
    guest = ContainerGuest(tmp_path)
    guest.runtime(inspect="exit 125")
    assert wait_for_end(guest).returncode == 125
