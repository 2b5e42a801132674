"""The command line of a container, and what is made of its answers."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selab.container.image import Image, find_image
from selab.container.label import ContainerLabel
from selab.container.lifecycle import ContainerRefused, _archive, run_arguments, running, volume_label
from selab.errors import InputError, SelabError
from selab.guest import script
from selab.policy.contexts import FileContexts, FileSpec
from selab.progress import Progress
from selab.project import Project
from selab.scenario import Scenario, Volume
from tests.unit.fakes import FakeGuest, recorded_network

LABEL = ContainerLabel("web_t", "s0:c1,c2")


def arguments(**fields: object) -> list[str]:
    scenario = Scenario.model_validate({"image": "x", **fields})
    return run_arguments(scenario, Image("selab/x:1", None), "selab-web", LABEL)


def test_the_label_is_given_by_type_and_level() -> None:
    words = arguments()
    assert words[words.index("label=type:web_t") - 1] == "--security-opt"
    assert words[words.index("label=level:s0:c1,c2") - 1] == "--security-opt"


def test_nothing_is_pulled_unasked() -> None:
    assert "--pull=never" in arguments()


def test_ports_are_bound_to_the_loopback() -> None:
    assert "127.0.0.1:8080:80" in arguments(ports=[{"guest": 8080, "container": 80}])


def test_the_command_follows_the_image() -> None:
    assert arguments(command=["sh", "-c", "true"])[-4:] == ["selab/x:1", "sh", "-c", "true"]


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


CONTEXTS = FileContexts((FileSpec("/srv/web(/.*)?", "", "u:object_r:web_content_t:s0"),), "")


@pytest.mark.parametrize(
    ("volume", "label"),
    [
        ({"target": "/srv/web/static"}, "contexts"),
        ({"target": "/srv"}, "private"),
        ({"target": "/srv/web", "label": "shared"}, "shared"),
        ({"target": "/srv/web", "guest_path": "/etc"}, "keep"),
    ],
)
def test_a_volume_is_labelled_as_the_candidates_contexts_say_unless_the_scenario_does(
    volume: dict[str, str], label: str
) -> None:
    assert volume_label(Volume.model_validate(volume), CONTEXTS) == label


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


def test_links_in_a_volume_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "volume").mkdir()
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").write_text("swordfish")
    (tmp_path / "volume" / "directory").symlink_to(tmp_path / "secret")
    (tmp_path / "volume" / "file").symlink_to(tmp_path / "secret" / "key")
    os.mkfifo(tmp_path / "volume" / "pipe")
    (tmp_path / "volume" / "page").write_text("x")
    with tarfile.open(fileobj=io.BytesIO(_archive(tmp_path / "volume"))) as tar:
        assert tar.getnames() == ["page"]


NO_DAEMON = (
    125,
    "",
    (
        "docker: Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon "
        "running?."
    ),
)


def started(tmp_path: Path, *answers: tuple[int, str, str], runtime: str = "docker") -> FakeGuest:
    """A container's start, to which its runtime says `answers` one after the other."""
    guest, outcomes = FakeGuest(), iter(answers)
    guest.rules.append((('"$engine" "$@"',), lambda argv: next(outcomes)))
    guest.answer("systemctl", "restart", "docker")
    guest.answer(script("container/remove"), out="end\n")
    for words in ("rm -f -v", "docker pull", "podman pull"):
        guest.answer(words)
    scenario = Scenario.model_validate({"image": "x", "runtime": runtime})
    with running(
        guest,
        scenario,
        Image("x", None),
        LABEL,
        tmp_path,
        tmp_path,
        Progress(),
        lambda: guest.commands.append(("equip", runtime)),
        recorded_network(guest.commands),
    ):
        pass
    return guest


@pytest.mark.parametrize("silence", [NO_DAEMON, (124, "", "docker hangs")], ids=["stopped", "hung"])
def test_docker_is_started_again_where_it_does_not_answer(
    tmp_path: Path, silence: tuple[int, str, str]
) -> None:
    guest = started(tmp_path, silence, (0, "pid 7\nend\n", ""))
    assert ("systemctl", "restart", "docker") in guest.commands


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
    with pytest.raises(ContainerRefused):
        started(tmp_path, (code, "", "OCI runtime create failed"))


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
