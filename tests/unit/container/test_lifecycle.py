"""The command line of a container, and what is made of its answers."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selab.container.image import Image, find_image
from selab.container.lifecycle import (
    START_TIMEOUT,
    Container,
    ContainerRefused,
    run_arguments,
)
from selab.container.runtime import runtimes
from selab.errors import InputError, SelabError
from selab.guest import script, script_argv
from selab.project import Project
from tests.unit.fakes import FakeGuest
from tests.unit.workloads import scenario, workload
from tests.unit.workloads import started as started_in


def arguments(**fields: object) -> list[str]:
    of = workload(scenario(**fields), name="web", image=Image("selab/x:1", None))
    return run_arguments(of.containers[0], of)


def test_a_container_gets_exactly_what_the_scenario_says() -> None:
    words = arguments(
        ports=[{"guest": 8080, "container": 80}],
        volumes=[{"target": "/data"}],
        cap_add=["NET_ADMIN"],
        cap_drop=["CHOWN", "KILL"],
        environment={"KEY": "a value"},
        user="daemon",
        read_only=True,
        command=["sh", "-c", "true"],
    )
    assert words == [
        *("run", "--detach", "--pull=never", "--name", "selab-web"),
        *("--cidfile", "/run/selab/cid-selab-web"),
        *("--security-opt", "label=type:web_t", "--security-opt", "label=level:s0:c1,c2"),
        *("--hostname", "selab", "--publish", "127.0.0.1:8080:80"),
        *("--volume", "/var/lib/selab/runs/selab-web/volume0/data:/data:Z"),
        *("--cap-add=NET_ADMIN", "--cap-drop=CHOWN", "--cap-drop=KILL"),
        *("--env", "KEY=a value", "--user", "daemon", "--read-only"),
        *("selab/x:1", "sh", "-c", "true"),
    ]


def test_a_container_gets_nothing_that_the_scenario_does_not_say() -> None:
    words = arguments()
    assert words[words.index("label=level:s0:c1,c2") + 1 :] == ["--hostname", "selab", "selab/x:1"]


def test_nothing_is_pulled_unasked() -> None:
    assert "--pull=never" in arguments()


def test_ports_are_bound_to_the_loopback() -> None:
    assert "127.0.0.1:8080:80" in arguments(ports=[{"guest": 8080, "container": 80}])


def test_volumes_carry_their_label() -> None:
    words = arguments(
        volumes=[
            {"target": "/a"},
            {"target": "/b", "label": "shared", "read_only": True},
            {"guest_path": "/etc", "target": "/c"},
        ]
    )
    assert "/var/lib/selab/runs/selab-web/volume0/a:/a:Z" in words
    assert "/var/lib/selab/runs/selab-web/volume1/b:/b:z,ro" in words
    assert "/etc:/c" in words


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1))
def test_a_value_of_the_environment_stays_one_word(value: str) -> None:
    words = arguments(environment={"KEY": value})
    assert words[words.index("--env") + 1] == f"KEY={value}"


@pytest.mark.parametrize("name", ["../images/x", "/etc", "x/../../.."])
def test_a_path_is_no_images_name(project: Project, name: str) -> None:
    (project.images / "x").mkdir()
    assert find_image(project, name).source is None


def test_an_image_is_not_found_outside_of_the_project(
    project: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (project.images / "x").symlink_to(tmp_path_factory.mktemp("elsewhere"))
    with pytest.raises(InputError, match="outside"):
        find_image(project, "x")


NO_DAEMON = (
    125,
    "",
    (
        "docker: Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon "
        "running?."
    ),
)


def answering(*answers: tuple[int, str, str], end: str = "runs\nend\n") -> FakeGuest:
    """A guest whose runtime says `answers` to a start one after the other, and `end` at the end."""
    guest, outcomes = FakeGuest(), iter(answers)
    guest.rules.append((('"$engine" "$@"',), lambda argv: next(outcomes)))
    guest.answer("systemctl", "restart", "docker")
    guest.answer(script("container/end"), out=end)
    guest.answer(script("container/keep"), out=end)
    for words in ("rm -f -v", "docker pull", "podman pull"):
        guest.answer(words)
    return guest


def ran(guest: FakeGuest, tmp_path: Path, *, keep: bool = False, **fields: object) -> Container:
    """The container of a scenario with `fields` after its run in `guest`."""
    of = workload(scenario(**fields))

    def install() -> None:
        guest.commands.append(("equip", of.runtime.name))

    with started_in(guest, of, tmp_path, keep=keep, ensure_runtime=install) as containers:
        pass
    return containers[""]


def started(tmp_path: Path, *answers: tuple[int, str, str], runtime: str = "docker") -> FakeGuest:
    """A container's start, to which its runtime says `answers` one after the other."""
    guest = answering(*answers)
    ran(guest, tmp_path, runtime=runtime)
    return guest


WEB, WORKER, LATE = (f"system_u:system_r:{name}_t:s0:c1,c2" for name in ("web", "worker", "late"))


def test_every_label_that_was_seen_at_the_start_and_at_the_end_is_reported(tmp_path: Path) -> None:
    start = (0, f"pid 7\nlabel {WEB}\nlabel {WORKER}\nend\n", "")
    container = ran(answering(start, end=f"runs\nlabel {WEB}\nlabel {LATE}\nend\n"), tmp_path)
    assert container == Container("selab-", 7, runtimes()["docker"], {WEB, WORKER, LATE})


def test_a_context_has_at_least_a_user_a_role_and_a_type(tmp_path: Path) -> None:
    """The kernel itself has the context `kernel`; a policy without MLS has no level."""
    answer = (0, "label kernel\nlabel u:r\nlabel u:r:t\npid 7\nend\n", "")
    assert ran(answering(answer), tmp_path).labels == {"u:r:t"}


@pytest.mark.parametrize(
    "answer",
    [
        f"pid 7\nlabel {WEB}",
        f"pid 7\nlabel {WEB}\n",
        f"pid 7\nlabel {WEB}\nend",
        f"pid 7\nstate {WEB}\nend\n",
        "pid 7\nlabel u:r:\x1bt\nend\n",
        "pid 7\nlabel -u:r:t\nend\n",
        "pid -7\nend\n",
        "pid 7\npid 8\nend\n",
        f"label {WEB}\nend\n",
    ],
)
def test_an_answer_that_makes_no_sense_is_an_error(tmp_path: Path, answer: str) -> None:
    with pytest.raises(SelabError, match="makes no sense|did not report which process"):
        ran(answering((0, answer, "")), tmp_path)


@pytest.mark.parametrize(("keep", "end"), [(False, "container/end"), (True, "container/keep")])
def test_a_container_ends_after_its_run_unless_it_is_kept(tmp_path: Path, keep: bool, end: str) -> None:
    guest = answering((0, "pid 7\nend\n", ""))
    ran(guest, tmp_path, keep=keep)
    assert guest.commands[-1] == tuple(script_argv(end, "docker", "rm -f -v", "", "selab-", "7"))


def test_a_container_that_did_not_start_is_removed_too(tmp_path: Path) -> None:
    guest = answering((125, "", "OCI runtime create failed"))
    with pytest.raises(ContainerRefused):
        ran(guest, tmp_path)
    assert guest.commands[-1] == tuple(script_argv("container/end", "docker", "rm -f -v", "", "selab-", "0"))


def test_an_interrupted_run_removes_its_container(tmp_path: Path) -> None:
    guest = answering((0, "pid 7\nend\n", ""))
    with pytest.raises(KeyboardInterrupt), started_in(guest, workload(scenario()), tmp_path):
        raise KeyboardInterrupt
    assert guest.commands[-1][2] == script("container/end")


@pytest.mark.parametrize("silence", [NO_DAEMON, (124, "", "docker hangs")], ids=["stopped", "hung"])
def test_docker_is_started_again_where_it_does_not_answer(
    tmp_path: Path, silence: tuple[int, str, str]
) -> None:
    guest = started(tmp_path, silence, (0, "pid 7\nend\n", ""))
    assert ("systemctl", "restart", "docker") in guest.commands
    assert guest.timeouts[:3] == [START_TIMEOUT] * 3  # the start, the service, and the start again


def test_a_container_that_a_run_before_was_still_starting_is_removed(tmp_path: Path) -> None:
    conflict = (
        125,
        "",
        'docker: Conflict. The container name "/selab-" is already in use by container "abc".',
    )
    guest = started(tmp_path, conflict, (0, "pid 7\nend\n", ""))
    assert ("docker", "rm", "-f", "-v", "selab-") in guest.commands


def test_docker_that_does_not_come_back_is_no_failure_of_the_workload(tmp_path: Path) -> None:
    with pytest.raises(SelabError, match="Docker does not answer") as caught:
        started(tmp_path, NO_DAEMON, NO_DAEMON)
    assert not isinstance(caught.value, ContainerRefused)
    assert "daemon running" in caught.value.detail


def test_a_runtime_that_the_guest_lacks_is_had_and_asked_again(tmp_path: Path) -> None:
    lacking = (125, "", "podman is not installed in the guest")
    guest = started(
        tmp_path, lacking, (125, "", "Error: x: image not known"), (0, "pid 7\nend\n", ""), runtime="podman"
    )
    assert [argv for argv in guest.commands if argv[0] != "sh"] == [
        ("equip", "podman"),
        ("network", "open"),
        ("podman", "pull", "--quiet", "docker.io/x"),
        ("network", "closed"),
    ]


@pytest.mark.parametrize("code", [125, 126, 127])
def test_a_container_that_the_runtime_refuses_is_a_failure_of_the_workload(tmp_path: Path, code: int) -> None:
    with pytest.raises(ContainerRefused) as caught:
        started(tmp_path, (code, "", "OCI runtime create failed\n\nRun 'docker run --help'"))
    assert caught.value.detail == f"`docker run` ended with {code}: OCI runtime create failed"


@pytest.mark.parametrize("code", [1, 77, 139])
def test_a_runtime_that_fails_in_another_way_is_no_failure_of_the_workload(tmp_path: Path, code: int) -> None:
    with pytest.raises(SelabError, match="unknown way") as caught:
        started(tmp_path, (code, "", "Segmentation fault"))
    assert not isinstance(caught.value, ContainerRefused)


def test_a_runtime_that_is_lacking_still_is_no_failure_of_the_workload(tmp_path: Path) -> None:
    lacking = (125, "", "podman is not installed in the guest")
    with pytest.raises(SelabError, match="Podman does not answer") as caught:
        started(tmp_path, lacking, lacking, runtime="podman")
    assert not isinstance(caught.value, ContainerRefused)
