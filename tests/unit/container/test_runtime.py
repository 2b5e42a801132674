"""What differs between Docker and Podman."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from selab.container.image import Image, _one_variable_each, ensure_image
from selab.container.lifecycle import Container, run_arguments
from selab.container.runtime import Runtime, runtimes
from selab.container.steps import logs, run_steps
from selab.doctor.examine import State, guest_findings
from selab.errors import SelabError
from selab.guest import script
from selab.progress import Progress
from selab.scenario.model import Scenario
from tests.unit.fakes import FakeGuest, recorded_network
from tests.unit.workloads import scenario, started, workload

DOCKER, PODMAN = runtimes()["docker"], runtimes()["podman"]


def arguments(runtime: str, **fields: object) -> list[str]:
    of = workload(scenario(runtime=runtime, **fields))
    return run_arguments(of.containers[0], of)


def test_a_scenario_can_name_each_and_no_other() -> None:
    assert set(get_args(Scenario.model_fields["runtime"].annotation)) == set(runtimes())


@pytest.mark.parametrize("runtime", runtimes())
def test_either_gets_the_label_by_type_and_level(runtime: str) -> None:
    words = arguments(runtime)
    assert words[: words.index("label=level:s0:c1,c2") + 1][-4:] == [
        "--security-opt",
        "label=type:web_t",
        "--security-opt",
        "label=level:s0:c1,c2",
    ]


def test_a_read_only_container_has_nothing_to_write_to_under_podman_either() -> None:
    assert "--read-only-tmpfs=false" in arguments(
        "podman", read_only=True
    ) and "--read-only-tmpfs=false" not in arguments("docker", read_only=True)


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("httpd:2", "docker.io/httpd:2"),
        ("library/httpd:2", "docker.io/library/httpd:2"),
        ("quay.io/x/y:1", "quay.io/x/y:1"),
        ("localhost/x/y:1", "localhost/x/y:1"),
        ("registry:5000/x", "registry:5000/x"),
    ],
)
def test_podman_is_told_the_registry_that_docker_would_ask(name: str, full: str) -> None:
    assert (PODMAN.reference(name), DOCKER.reference(name)) == (full, name)


def test_a_container_of_podman_has_the_image_that_was_pulled_or_imported(httpd: Image) -> None:
    workloads = [workload(scenario(runtime="podman"), image=each) for each in (Image("httpd:2", None), httpd)]
    pulled, imported = (run_arguments(of.containers[0], of)[-1] for of in workloads)
    assert (pulled, imported) == ("docker.io/httpd:2", httpd.reference)


@pytest.mark.parametrize(
    ("runtime", "answer", "labels"),
    [
        (DOCKER, '["name=seccomp,profile=builtin","name=selinux","name=cgroupns"]\n', True),
        (DOCKER, '["name=seccomp,profile=builtin"]\n', False),
        (PODMAN, "true\n", True),
        (PODMAN, "false\n", False),
    ],
)
def test_either_says_whether_it_sets_labels(runtime: Runtime, answer: str, labels: bool) -> None:
    guest = FakeGuest()
    guest.answer(runtime.name, "info", out=answer)
    assert runtime.sets_labels(guest) is labels


def test_a_runtime_that_does_not_answer_is_an_error() -> None:
    guest = FakeGuest()
    guest.answer("podman", code=125, err="no")
    with pytest.raises(SelabError, match="Podman does not answer"):
        PODMAN.sets_labels(guest)


@pytest.mark.parametrize(
    ("there", "subjects"),
    [(("docker",), ["Docker"]), (("docker", "podman"), ["Docker", "Podman"]), ((), ["containers"])],
)
def test_the_doctor_looks_at_those_that_are_there(there: tuple[str, ...], subjects: list[str]) -> None:
    guest = FakeGuest()
    for name in runtimes():
        guest.answer(script("container/has-program"), name, code=0 if name in there else 1)
        guest.answer(name, "info", out="true selinux\n")
    for question in ("/sys/fs/selinux/status", "SELINUXTYPE", "auditctl -s"):
        guest.answer(question, code=1)
    state = State.OK if there else State.BAD
    findings = [(finding.subject, finding.state) for finding in guest_findings(guest)]
    assert findings[3:] == [(subject, state) for subject in subjects]


def test_an_image_that_no_runtime_has_is_pulled_by_the_scenarios_runtime(tmp_path: Path) -> None:
    guest = FakeGuest()
    guest.answer("podman pull --quiet docker.io/httpd:2")
    network: list[tuple[str, ...]] = []
    image = Image("httpd:2", None)
    ensure_image(guest, PODMAN, image, tmp_path, Progress(), recorded_network(network))
    assert len(guest.commands) == 1


@pytest.mark.parametrize(
    ("change", "each"),
    [
        ("ENV A=b C=d", ["ENV A=b", "ENV C=d"]),
        ('ENV A="b c" D=e\\ f', ['ENV A="b c"', "ENV D=e\\ f"]),
        ("ENV KEY a value", ["ENV KEY a value"]),
        ('CMD ["a=b", "c=d"]', ['CMD ["a=b", "c=d"]']),
        ("EXPOSE 80", ["EXPOSE 80"]),
    ],
)
def test_a_variable_is_said_by_itself(change: str, each: list[str]) -> None:
    assert _one_variable_each(change) == each


def test_an_error_is_reported_without_the_runtimes_usage() -> None:
    text = (
        "docker: it broke\n\nmore\nRun 'docker run --help' for more information\nSee 'docker run --help'.\n"
    )
    assert DOCKER.without_usage(text) == "docker: it broke\nmore"


@pytest.mark.parametrize("runtime", runtimes().values())
def test_the_table_of_a_runtime_cannot_be_changed(runtime: Runtime) -> None:
    values = (*vars(runtime).values(), *runtime.facts.values())
    assert {type(value) for value in values} == {str, bool, tuple, dict}


def test_steps_are_done_by_the_containers_runtime(tmp_path: Path) -> None:
    guest = FakeGuest()
    guest.answer("podman", out="0\n")
    guest.answer("inspect", "podman", out="0\n")
    steps = [{"exec": {"argv": ["id"]}}, {"log": {"pattern": "0"}}, {"exit": {}}]
    containers = {"": Container("selab-web", 1, PODMAN)}
    assert all(result.ok for result in run_steps(guest, scenario(steps=steps), containers, tmp_path))
    logs(guest, containers)
    assert not any("docker" in words for words in guest.commands)


def test_a_run_names_its_runtime_at_the_start_and_at_the_end(tmp_path: Path) -> None:
    guest = FakeGuest()
    guest.answer(script("container/start"), out="pid 7\nend\n")
    guest.answer(script("container/end"), out="runs\nend\n")
    with started(guest, workload(scenario(runtime="podman")), tmp_path):
        pass
    assert guest.commands[0][6] == "podman" and guest.commands[-1][4:6] == ("podman", "rm -f -v --time=0")
