"""The scripts that end and remove containers, run with sh in a sandbox with a fake runtime."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from selab.guest import Completed, script_argv

from .container_guest import OTHER, WEB, ContainerGuest

KILL = "rm -rf proc/77 proc/78; : >sys/fs/cgroup/docker/abc/cgroup.procs"
"""What a fake runtime does to the processes of the containers."""
WAIT = "n=0; until [ -e over ] || [ $n = 200 ]; do n=$((n + 1)); /bin/sleep 0.05; done"
"""Until a test says that the removal is over, or for some seconds."""


def ends(guest: ContainerGuest, *pairs: str, shared: str = "", engine: str = "docker") -> Completed:
    """End the container selab-web, or those of `pairs`: the name and the main process of each."""
    words = [engine, "rm -f -v", shared, *(pairs or ("selab-web", "77"))]
    return guest.run(script_argv("container/end", *words))


def awaited(guest: ContainerGuest) -> str:
    """Wait for the removal. Returns why it failed."""
    done = guest.run(script_argv("container/await-removal"))
    assert (done.returncode, done.error_text) == (0, "")
    return done.text


def left(guest: ContainerGuest) -> list[str]:
    """The files that belong to a container."""
    places = (*guest.path("/run/selab").rglob("*"), *guest.path("/var/lib/selab").rglob("*"))
    files = (str(path.relative_to(guest.root)) for path in places if path.is_file())
    return sorted(path for path in files if path != "run/selab/removal")


def recorded(guest: ContainerGuest, *names: str) -> None:
    """Write all files that a container may have."""
    for name in names:
        for place in ("/run/selab/containers/{}", "/run/selab/labels-{}", "/run/selab/cid-{}"):
            guest.write(place.format(name), f"{OTHER}\n")
        guest.write(f"/var/lib/selab/runs/{name}/volume0/file", "x")


def test_the_labels_are_read_before_the_processes_end(guest: ContainerGuest) -> None:
    guest.runtime(rm=KILL)
    done = ends(guest)
    assert (done.returncode, done.text) == (0, f"runs\nlabel {WEB}\nend\n")


def test_the_end_of_the_processes_is_waited_for_and_the_removal_is_not(guest: ContainerGuest) -> None:
    guest.runtime(rm=f"{KILL}; {WAIT}")
    assert ends(guest).ok and not guest.path("/proc/77").exists()
    recorded(guest, "selab-web")
    (guest.root / "over").touch()
    assert awaited(guest) == ""
    assert left(guest) == []


def test_processes_in_the_cgroup_are_waited_for_too(guest: ContainerGuest) -> None:
    """Without a PID namespace of its own, a container's other processes outlive the main one."""
    procs = guest.path("/sys/fs/cgroup/docker/abc/cgroup.procs")
    guest.runtime(rm=f"rm -r proc/77; /bin/sleep 0.3; : >'{procs}'; {WAIT}")
    assert ends(guest).ok and procs.read_text() == ""
    (guest.root / "over").touch()
    assert awaited(guest) == ""


def test_a_container_is_removed_with_everything_that_belongs_to_it(guest: ContainerGuest) -> None:
    guest.runtime("podman", rm=KILL)
    recorded(guest, "selab-web", "selab-b")
    assert ends(guest, engine="podman").ok and awaited(guest) == ""
    assert guest.runtime_calls == ["podman rm -f -v selab-web"]
    assert left(guest) == [
        "run/selab/cid-selab-b",
        "run/selab/containers/selab-b",
        "run/selab/labels-selab-b",
        "var/lib/selab/runs/selab-b/volume0/file",
    ]


@pytest.mark.parametrize(("exists", "calls"), [(0, ["inspect", "rm"]), (1, ["inspect"])])
def test_containers_are_removed_together_and_their_network_after_them(
    guest: ContainerGuest, exists: int, calls: list[str]
) -> None:
    guest.runtime(rm=KILL, network=f"[ $2 = rm ] || exit {exists}")
    guest.process(78, WEB)
    recorded(guest, "selab-shop")  # the volumes that they share
    assert ends(guest, "shop-web", "78", "shop-db", "77", shared="selab-shop").ok and awaited(guest) == ""
    networks = [f"docker network {word} selab-shop" for word in calls]
    assert guest.runtime_calls == ["docker rm -f -v shop-web shop-db", *networks]
    assert [path for path in left(guest) if path.startswith("var/")] == []


def test_a_network_that_cannot_be_removed_is_reported(guest: ContainerGuest) -> None:
    guest.runtime(rm=KILL, network='[ $2 = inspect ] || { echo "it is in use" >&2; exit 1; }')
    assert ends(guest, shared="selab-shop").ok
    assert awaited(guest) == "it is in use"


def test_the_exit_code_of_one_of_several_that_has_ended_is_printed(guest: ContainerGuest) -> None:
    guest.runtime(rm=KILL, inspect='[ "$*" = "inspect --format {{.State.ExitCode}} db" ] && echo 3')
    done = ends(guest, "web", "77", "db", "79", shared="selab-shop")
    assert done.text == f"runs\nlabel {WEB}\nend\nended 3\nend\n"
    awaited(guest)


def test_a_runtime_that_does_not_know_the_exit_code_ends_the_script(guest: ContainerGuest) -> None:
    guest.runtime(inspect="exit 9")
    assert ends(guest, "db", "79", shared="selab-shop").returncode == 9
    assert guest.runtime_calls == ["docker inspect --format {{.State.ExitCode}} db"]


def test_a_single_container_that_has_ended_is_removed(guest: ContainerGuest) -> None:
    assert ends(guest, "selab-web", "0").text == "ended\nend\n"
    assert awaited(guest) == ""
    assert guest.runtime_calls == ["docker rm -f -v selab-web"]


def test_a_workload_without_a_container_leaves_its_network(guest: ContainerGuest) -> None:
    guest.runtime(network=":")
    done = guest.run(script_argv("container/end", "docker", "rm -f -v", "selab-shop"))
    assert (done.ok, done.text, awaited(guest)) == (True, "", "")
    assert guest.runtime_calls == [f"docker network {word} selab-shop" for word in ("inspect", "rm")]


def test_a_failure_without_a_message_is_reported(guest: ContainerGuest) -> None:
    guest.runtime(rm=f"{KILL}; exit 1", inspect=":")
    assert ends(guest).ok
    assert awaited(guest) == "docker rm ended with 1"


FAILS = 'echo "device busy" >&2; exit 1'


def test_a_second_attempt_may_succeed(guest: ContainerGuest) -> None:
    """Podman does not remove a container whose namespaces another one uses."""
    guest.runtime(rm=f"[ -e tried ] || {{ touch tried; {KILL}; {FAILS}; }}")
    assert ends(guest).ok and awaited(guest) == ""
    assert guest.runtime_calls == ["docker rm -f -v selab-web"] * 2


@pytest.mark.parametrize(("is_there", "problem"), [(True, "device busy"), (False, "")])
def test_a_removal_that_failed_is_reported_once_if_the_container_is_still_there(
    guest: ContainerGuest, is_there: bool, problem: str
) -> None:
    guest.runtime(rm=f"{KILL}; {FAILS}", inspect=":" if is_there else "exit 1")
    recorded(guest, "selab-web")
    assert ends(guest).ok
    assert [awaited(guest), awaited(guest)] == [problem, ""]
    assert ("run/selab/containers/selab-web" in left(guest)) is is_there  # the next start tries again


def test_processes_that_outlive_the_removal_are_killed(guest: ContainerGuest) -> None:
    """A policy may keep the runtime from /proc/PID: it then takes the container for one that has ended."""
    with subprocess.Popen(["/bin/sleep", "60"]) as main, subprocess.Popen(["/bin/sleep", "60"]) as other:
        for each in (main, other):
            guest.process(each.pid, WEB, "/docker/xyz")
        gone = f"cd '{guest.root}/proc' && rm -r {main.pid} {other.pid}"
        empty = f": >'{guest.path('/sys/fs/cgroup/docker/xyz/cgroup.procs')}'"
        states = f"$(cut -d ' ' -f 3 /proc/{main.pid}/stat /proc/{other.pid}/stat | tr -d '\\n')"
        guest.program("sleep", f'[ "{states}" != ZZ ] || {{ {gone}; {empty}; }}')
        guest.runtime(rm=KILL, network=":")
        done = ends(guest, "selab-db", str(main.pid), "selab-web", "77", shared="shop")
        assert (main.wait(10), other.wait(10)) == (-9, -9)
    assert done.text.endswith("end\nkilled selab-db\n") and awaited(guest) == ""


def test_processes_that_cannot_be_killed_are_an_error(guest: ContainerGuest) -> None:
    guest.write("/proc/99999999/attr/current", f"{WEB}\0")  # no process has this number
    guest.runtime(rm=":")
    done = ends(guest, "selab-web", "99999999")
    assert (done.returncode, done.error_text) == (4, "processes of selab-web are left: \n")


@pytest.mark.parametrize(("body", "reason"), [(FAILS, "device busy"), ("exit 124", "docker hangs")])
def test_processes_that_are_left_are_an_error(guest: ContainerGuest, body: str, reason: str) -> None:
    guest.runtime(rm=body, inspect=":")
    done = ends(guest)
    assert (done.returncode, done.error_text) == (4, f"processes of selab-web are left: {reason}\n")


def test_a_removal_counts_as_interrupted_until_it_is_over(guest: ContainerGuest) -> None:
    guest.runtime(rm=f"cp run/selab/removal seen; {KILL}")
    assert ends(guest).ok and awaited(guest) == ""
    guest.write("/run/selab/removal", (guest.root / "seen").read_text())
    assert awaited(guest) == "the removal was interrupted\n"


def test_a_removal_outlives_its_session(guest: ContainerGuest) -> None:
    guest.runtime(rm=f"{KILL}; {WAIT}")
    words = script_argv("container/end", "docker", "rm -f -v", "", "selab-web", "77")
    words = [words[0], words[1], guest.inside(words[2]), *words[3:]]
    with subprocess.Popen(
        words, env=guest.environment, stdout=subprocess.DEVNULL, start_new_session=True
    ) as session:
        assert session.wait(20) == 0
        os.killpg(session.pid, signal.SIGHUP)
    (guest.root / "over").touch()
    assert awaited(guest) == ""


def test_there_is_nothing_to_wait_for_before_the_first_removal(tmp_path: Path) -> None:
    assert awaited(ContainerGuest(tmp_path)) == ""


def test_a_removal_that_takes_too_long_is_reported(guest: ContainerGuest) -> None:
    guest.program("flock", "exit 1")
    guest.write("/run/selab/removal", "")
    started = time.monotonic()
    assert awaited(guest) == "the removal has not ended\n"
    assert time.monotonic() - started < 20
