"""The scripts that start, watch and remove a container, run with sh in a sandbox with a fake runtime."""

from __future__ import annotations

import io
import os
import select
import tarfile
from pathlib import Path

import pytest

from selab.container.runtime import Runtime, runtimes
from selab.guest import Completed, script_argv

from .container_guest import DOCKER, OTHER, PODMAN, WEB, ContainerGuest


def labels(done: Completed) -> set[str]:
    """The labels in what a script printed, which must end with the line `end`."""
    *lines, end = done.text.splitlines()
    assert end == "end"
    return {line.removeprefix("label ") for line in lines if line.startswith("label ")}


# --- start ----------------------------------------------------------------------------------------


def test_a_start_reports_the_main_process_and_its_label(guest: ContainerGuest) -> None:
    done = guest.starts()
    assert (done.returncode, done.text.splitlines()[0], labels(done)) == (0, "pid 77", {WEB})
    assert len(guest.runtime_calls) == 1


@pytest.mark.parametrize("pid", [None, "", "76"], ids=["no file", "empty file", "no such process"])
def test_the_runtime_is_asked_for_a_main_process_that_its_file_does_not_name(
    guest: ContainerGuest, pid: str | None
) -> None:
    file = guest.path(DOCKER.pid_file.replace("ID", "abc"))
    file.unlink() if pid is None else file.write_text(pid)
    guest.runtime(inspect='[ "$*" = "inspect --format {{.State.Pid}} abc" ] && echo 77')
    assert guest.starts().text.splitlines()[0] == "pid 77"


def test_the_record_of_a_container_exists_while_it_starts(guest: ContainerGuest) -> None:
    """If selab is interrupted then, the next start removes the container."""
    guest.runtime(run='cat run/selab/containers/selab-web >seen; echo abc >"$3"; echo abc')
    guest.starts()
    assert (guest.root / "seen").read_text() == "running docker\n"


@pytest.mark.parametrize("group", ["system.slice/docker-abc.scope", "docker/abc", "pids/docker/abc"])
def test_the_label_of_a_container_that_ends_at_once_was_seen_before(tmp_path: Path, group: str) -> None:
    """The runtime's own process, with another context, is in the cgroup first."""
    guest = ContainerGuest(tmp_path)
    guest.process(76, OTHER, f"/{group}")
    guest.process(77, WEB, f"/{group}")
    wait = "until [ -e run/selab/labels-selab-web ]; do :; done"
    guest.runtime(run=f'echo abc >"$3"; {wait}; rm -r proc/77; echo abc')
    done = guest.starts()
    assert (done.text.splitlines()[0], labels(done)) == ("pid 0", {WEB})


def test_nothing_of_an_earlier_container_is_reported(guest: ContainerGuest) -> None:
    guest.write("/run/selab/labels-selab-web", f"{OTHER}\n")
    guest.write("/run/selab/cid-selab-web", "old\n")
    done = guest.starts()
    assert (done.returncode, labels(done)) == (0, {WEB})


def test_what_interrupted_runs_left_is_removed_by_its_own_runtime(guest: ContainerGuest) -> None:
    guest.runtime("podman")
    for name, text in {
        "selab-a": "running podman\n",
        "selab-b": "kept docker\n",
        "selab-old": "running\n",
        "selab-web": "kept podman\n",
    }.items():
        guest.write(f"/run/selab/containers/{name}", text)
    guest.starts()
    assert guest.runtime_calls[:3] == [
        "podman rm -f -v selab-a",
        "docker rm -f -v selab-old",
        "podman rm -f -v selab-web",
    ]
    names = sorted(path.name for path in guest.path("/run/selab/containers").iterdir())
    assert names == ["selab-b", "selab-web"]


@pytest.fixture
def watched(guest: ContainerGuest) -> int:
    """A pipe that is readable as soon as every process of the script has ended."""
    reading, writing = os.pipe()
    guest.descriptors = (writing,)
    guest.path("/sys/fs/cgroup/docker/abc/cgroup.procs").unlink()  # the watcher would search for ever
    return reading


def ended(guest: ContainerGuest, pipe: int) -> bool:
    os.close(guest.descriptors[0])
    all_ended = bool(select.select([pipe], [], [], 10)[0])
    os.close(pipe)
    return all_ended


@pytest.mark.parametrize("code", [1, 125, 126, 127])
def test_a_container_that_does_not_start_leaves_nothing(
    guest: ContainerGuest, watched: int, code: int
) -> None:
    guest.runtime(run=f"echo 'it broke' >&2; exit {code}")
    done = guest.starts()
    assert (done.returncode, done.error_text, done.text) == (code, "it broke\n", "")
    assert guest.runtime_calls[1:] == ["docker rm -f -v selab-web"]
    assert not list(guest.path("/run/selab/containers").iterdir())
    assert ended(guest, watched)


def test_a_runtime_that_hangs_is_reported_and_not_asked_again(guest: ContainerGuest, watched: int) -> None:
    guest.runtime(run="exit 124")  # as timeout(1) does
    done = guest.starts()
    assert (done.returncode, DOCKER.is_silent(done.error_text)) == (124, True)
    assert len(guest.runtime_calls) == 1
    assert ended(guest, watched)


@pytest.mark.parametrize(("text", "name"), [("running podman", "podman"), ("running", "docker")])
def test_a_runtime_that_hangs_while_it_removes_a_container_is_reported(
    guest: ContainerGuest, watched: int, text: str, name: str
) -> None:
    guest.runtime(name, rm="exit 124")
    guest.write("/run/selab/containers/selab-a", f"{text}\n")
    done = guest.starts()
    assert (done.returncode, runtimes()["docker"].is_silent(done.error_text)) == (124, name == "docker")
    assert done.error_text == f"{name} hangs\n"
    assert guest.runtime_calls == [f"{name} rm -f -v selab-a"]
    assert guest.path("/run/selab/containers/selab-a").exists()
    assert ended(guest, watched)


def test_each_command_of_the_runtime_has_a_time_limit(guest: ContainerGuest) -> None:
    guest.program("timeout", 'shift; exec "$@"')
    guest.write("/run/selab/containers/selab-web", "running docker\n")
    guest.starts()
    limited = [call for call in guest.called if call.startswith("timeout 100 docker")]
    assert [call.split()[3] for call in limited] == ["rm", "run"]


@pytest.mark.parametrize("runtime", [DOCKER, PODMAN])
def test_a_runtime_that_is_not_installed_is_reported(tmp_path: Path, runtime: Runtime) -> None:
    guest = ContainerGuest(tmp_path)
    guest.environment["PATH"] = str(guest.path("/bin"))  # this machine may have a runtime of its own
    done = guest.starts(runtime)
    assert (done.returncode, runtime.lacks(done.error_text)) == (125, True)


@pytest.mark.parametrize("installed", [True, False])
def test_a_guest_is_searched_for_a_runtime(tmp_path: Path, installed: bool) -> None:
    guest = ContainerGuest(tmp_path)
    guest.environment["PATH"] = str(guest.path("/bin"))
    if installed:
        guest.runtime()
    assert DOCKER.is_in(guest) is installed


# --- labels, keep ---------------------------------------------------------------------------------


def keep(guest: ContainerGuest, pid: str = "77") -> Completed:
    """Mark the container as one that stays, which prints the labels of its processes."""
    return guest.run(script_argv("container/keep", "docker", "rm", "", "selab-web", pid))


def test_the_labels_at_the_end_are_those_of_all_processes_and_the_recorded_one(guest: ContainerGuest) -> None:
    guest.process(79, OTHER)
    guest.write("/sys/fs/cgroup/docker/abc/cgroup.procs", "77\n78\n79\n")  # 78 has ended
    guest.write("/run/selab/labels-selab-web", "u:r:init_t:s0\n")
    guest.write("/run/selab/containers/selab-web", "running docker\n")
    done = keep(guest)
    assert (labels(done), done.error_text) == ({WEB, OTHER, "u:r:init_t:s0"}, "")


@pytest.mark.parametrize(
    ("group", "line"),
    [("/web", "0::/web"), ("/pids/web", "4:cpu:/other\n7:pids:/web\n1:name=systemd:/x")],
    ids=["cgroup v2", "cgroup v1"],
)
def test_the_cgroup_of_a_container_is_found(tmp_path: Path, group: str, line: str) -> None:
    guest = ContainerGuest(tmp_path)
    guest.process(77, WEB, group, line)
    guest.process(78, OTHER, "/other")
    guest.write("/proc/77/cgroup", f"{line}\n")
    assert labels(keep(guest)) == {WEB}


def test_processes_of_the_guest_are_not_taken_for_those_of_a_container(tmp_path: Path) -> None:
    """With a cgroup namespace of its own, the runtime may show a container's cgroup as /."""
    guest = ContainerGuest(tmp_path)
    guest.process(77, WEB, "/", "0::/")
    assert labels(keep(guest)) == set()


@pytest.mark.parametrize("pid", ["0", "79"])
def test_a_container_that_has_ended_has_only_the_label_that_was_recorded(
    guest: ContainerGuest, pid: str
) -> None:
    guest.write("/proc/0/cgroup", "0::/docker/abc\n")
    guest.write("/run/selab/labels-selab-web", f"{OTHER}\n")
    guest.write("/run/selab/containers/selab-web", "running docker\n")
    done = keep(guest, pid)
    assert (done.text.splitlines()[0], labels(done), done.error_text) == ("ended", {OTHER}, "")


def test_a_cgroup_that_is_gone_has_no_processes(guest: ContainerGuest) -> None:
    guest.path("/sys/fs/cgroup/docker/abc/cgroup.procs").unlink()
    guest.write("/run/selab/containers/selab-web", "running docker\n")
    done = keep(guest)
    assert (labels(done), done.error_text) == (set(), "")


@pytest.mark.parametrize(
    ("content", "expected"),
    [(f"{WEB}\0", {WEB}), (f"{WEB}\n", {WEB}), (WEB[:-1], set()), ("", set())],
    ids=["with a NUL", "with a newline", "cut because the process ended", "empty"],
)
def test_a_label_is_reported_only_if_it_is_complete(
    guest: ContainerGuest, content: str, expected: set[str]
) -> None:
    guest.write("/proc/77/attr/current", content)
    assert labels(keep(guest)) == expected


def test_a_container_that_is_kept_is_only_recorded(guest: ContainerGuest) -> None:
    guest.write("/run/selab/containers/selab-web", "running docker\n")
    done = keep(guest)
    assert (done.returncode, labels(done), guest.called) == (0, {WEB}, [])
    assert guest.path("/run/selab/containers/selab-web").read_text() == "kept docker\n"


# --- volumes --------------------------------------------------------------------------------------

VOLUME = "/var/lib/selab/runs/selab-web/volume0/data"


def archive() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        member = tarfile.TarInfo("page")
        member.size = 4
        tar.addfile(member, io.BytesIO(b"text"))
    return out.getvalue()


@pytest.mark.parametrize("own_type", ["", "volume_t"])
def test_a_volume_replaces_an_earlier_one_and_gets_its_type(tmp_path: Path, own_type: str) -> None:
    guest = ContainerGuest(tmp_path)
    guest.program("chcon")
    guest.write(f"{VOLUME}/old", "x")
    done = guest.run(script_argv("container/make-volume", VOLUME, own_type), input=archive())
    assert (done.returncode, [path.name for path in guest.path(VOLUME).iterdir()]) == (0, ["page"])
    assert guest.called == ([f"chcon -R -t volume_t {guest.path(VOLUME)}"] if own_type else [])


@pytest.mark.parametrize(("data", "code"), [(b"no archive", 0), (archive(), 1)])
def test_a_volume_that_cannot_be_filled_or_labelled_is_an_error(
    tmp_path: Path, data: bytes, code: int
) -> None:
    guest = ContainerGuest(tmp_path)
    guest.program("chcon", f"exit {code}")
    assert not guest.run(script_argv("container/make-volume", VOLUME, "volume_t"), input=data).ok
