"""What differs between Docker and Podman, and that the scripts say it to either."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import get_args

import pytest

from selab.container.image import Image, _one_variable_each, ensure_image
from selab.container.label import ContainerLabel
from selab.container.lifecycle import Container, run_arguments, running
from selab.container.runtime import Runtime, runtimes
from selab.container.steps import log_tail, run_steps
from selab.doctor.examine import State, guest_findings
from selab.errors import SelabError
from selab.guest import script
from selab.progress import Progress
from selab.scenario import Scenario
from tests.unit.fakes import FakeGuest, recorded_network

LABEL = ContainerLabel("web_t", "s0:c1,c2")
DOCKER, PODMAN = runtimes()["docker"], runtimes()["podman"]


def arguments(runtime: str, **fields: object) -> list[str]:
    return run_arguments(
        Scenario.model_validate({"image": "x", "runtime": runtime, **fields}),
        Image("x", None),
        "selab-web",
        LABEL,
    )


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
        ("localhost/x:1", "localhost/x:1"),
        ("registry:5000/x", "registry:5000/x"),
    ],
)
def test_podman_is_told_the_registry_that_docker_would_ask(name: str, full: str) -> None:
    assert (PODMAN.reference(name), DOCKER.reference(name)) == (full, name)


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


def test_steps_are_done_by_the_containers_runtime() -> None:
    guest = FakeGuest()
    guest.answer("podman", out="0\n")
    guest.answer("inspect", "podman", out="0\n")
    scenario = Scenario.model_validate(
        {"image": "x", "steps": [{"exec": {"argv": ["id"]}}, {"log": {"pattern": "0"}}, {"exit": {}}]}
    )
    container = Container("selab-web", 1, PODMAN)
    assert [result.ok for result in run_steps(guest, scenario, container)] == [True, True, True]
    log_tail(guest, container)
    assert not any("docker" in words for words in guest.commands)


# --- the scripts, with a runtime that only writes down what it is told ----------------------------


class Place:
    """Stands for a guest: its runtime's program starts a process of this machine as the container."""

    def __init__(self, root: Path, runtime: Runtime, *, pid: str | None = None, fails: str = "") -> None:
        self.root, self.runtime = root, runtime
        self.path = f"{root / 'bin'}:/usr/bin:/bin"
        (root / "bin").mkdir(parents=True)
        self.calls = root / "calls"
        program = root / "bin" / runtime.name
        program.write_text(
            f"""#!/bin/sh
echo "$*" >>{self.calls}
case $1 in
  run) {f"echo '{fails}' >&2; exit 125" if fails else "echo abc"} ;;
  inspect) echo 0 ;;
esac
"""
        )
        program.chmod(0o755)
        if pid is not None:
            file = Path(f"{root}{runtime.pid_file.replace('ID', 'abc')}")
            file.parent.mkdir(parents=True)
            file.write_text(pid)

    def run(self, text: str, *words: str) -> subprocess.CompletedProcess[str]:
        for place in ("/run/selab", "/var/lib/selab", "/sys/fs/cgroup"):
            text = text.replace(place, f"{self.root}{place}")
        return subprocess.run(
            ["/bin/sh", "-c", text, "sh", *words],
            capture_output=True,
            text=True,
            timeout=30,
            env={"PATH": self.path},
        )

    def start(self) -> subprocess.CompletedProcess[str]:
        words = [
            "u:r:web_t:s0",
            "selab-web",
            self.runtime.name,
            f"{self.root}{self.runtime.pid_file}",
            " ".join(self.runtime.cgroups),
        ]
        # The watcher would wait for a label that no process here has.
        before, after = script("container/start").split(script("container/lib-watch"))
        no_watch = "watcher=$$; kill() { :; }; mkdir -p /run/selab"
        return self.run(f"{before}{no_watch}{after}", *words, "run", "--detach", "x")

    @property
    def called(self) -> list[str]:
        return self.calls.read_text().splitlines()


@pytest.fixture(params=["docker", "podman"])
def runtime(request: pytest.FixtureRequest) -> Runtime:
    return runtimes()[request.param]


def test_the_main_process_is_read_from_the_runtimes_own_file(tmp_path: Path, runtime: Runtime) -> None:
    place = Place(tmp_path, runtime, pid=str(os.getpid()))
    assert place.start().stdout.splitlines()[0] == f"pid {os.getpid()}"
    assert place.called == ["run --detach x"]


@pytest.mark.parametrize("pid", [None, "", "4194305"])
def test_where_that_has_none_that_runs_it_is_asked(tmp_path: Path, runtime: Runtime, pid: str | None) -> None:
    place = Place(tmp_path, runtime, pid=pid)
    assert place.start().stdout.splitlines()[0] == "pid 0"
    assert place.called == ["run --detach x", "inspect --format {{.State.Pid}} abc"]


def test_what_an_earlier_run_has_left_is_removed_by_its_own_runtime(tmp_path: Path) -> None:
    place = Place(tmp_path, PODMAN)
    (tmp_path / "bin" / "docker").symlink_to(tmp_path / "bin" / "podman")
    left = tmp_path / "run/selab/containers"
    left.mkdir(parents=True)
    for name, text in {
        "selab-a": "running docker\n",
        "selab-b": "kept podman\n",
        "selab-old": "running\n",
        "selab-web": "kept docker\n",
    }.items():
        (left / name).write_text(text)
    place.start()
    assert place.called[:3] == ["rm -f -v selab-a", "rm -f -v selab-old", "rm -f -v selab-web"]
    assert sorted(path.name for path in left.iterdir()) == ["selab-b", "selab-web"]
    assert (left / "selab-web").read_text() == "running podman\n"


def test_a_container_that_did_not_start_leaves_nothing(tmp_path: Path, runtime: Runtime) -> None:
    place = Place(tmp_path, runtime, fails="it broke")
    done = place.start()
    assert (done.returncode, done.stderr.strip()) == (125, "it broke")
    assert place.called == ["run --detach x", "rm -f -v selab-web"] and not list(
        (tmp_path / "run/selab/containers").iterdir()
    )


def test_a_runtime_that_is_not_installed_is_reported(tmp_path: Path, runtime: Runtime) -> None:
    place = Place(tmp_path, runtime)
    (tmp_path / "bin" / runtime.name).unlink()
    place.path = str(tmp_path / "bin")  # this machine may have a runtime of its own
    done = place.start()
    assert (done.returncode, runtime.lacks(done.stderr)) == (125, True)


def test_a_container_is_removed_with_what_belongs_to_it(tmp_path: Path, runtime: Runtime) -> None:
    place = Place(tmp_path, runtime)
    (tmp_path / "run/selab/containers").mkdir(parents=True)
    (tmp_path / "run/selab/containers/selab-web").write_text("running")
    done = place.run(script("container/remove"), "selab-web", "0", runtime.name)
    assert (done.returncode, place.called) == (0, ["rm -f -v selab-web"])
    assert not (tmp_path / "run/selab/containers/selab-web").exists()


@pytest.mark.parametrize("group", [*DOCKER.cgroups, *PODMAN.cgroups])
def test_a_container_that_is_soon_gone_is_seen_in_any_group_it_may_have(tmp_path: Path, group: str) -> None:
    """The watch finds a process by its group: the group's file is tested, as no label is readable here."""
    runtime = DOCKER if group in DOCKER.cgroups else PODMAN
    place = Place(tmp_path, runtime)
    directory = tmp_path / "sys/fs/cgroup" / group.replace("ID", "abc")
    directory.mkdir(parents=True)
    (tmp_path / "proc/77/attr").mkdir(parents=True)
    (tmp_path / "proc/77/attr/current").write_text("u:r:web_t:s0\n")
    (directory / "cgroup.procs").write_text("77\n")
    removal = 'rm -f "$file" "/run/selab/cid-$name"'
    watch = script("container/lib-watch")
    assert removal in watch
    head = script("container/start").split(watch)[0]
    test_watch = watch.replace("/proc/", f"{tmp_path}/proc/").replace(removal, "")
    tail = "mkdir -p /run/selab; echo abc >/run/selab/cid-$name; wait $watcher; cat /run/selab/labels-$name"
    words = ["u:r:web_t:s0", "selab-web", runtime.name, runtime.pid_file, " ".join(runtime.cgroups)]
    assert place.run(f"{head}{test_watch}\n{tail}", *words).stdout == "u:r:web_t:s0\n"


@pytest.mark.parametrize(
    ("content", "labels"),
    [
        pytest.param("u:r:web_t:s0:c357,c617\0", ["u:r:web_t:s0:c357,c617"], id="complete"),
        pytest.param("u:r:web_t:s0:c357,c6", [], id="cut because the process ended"),
    ],
)
def test_a_label_is_reported_only_if_it_is_complete(tmp_path: Path, content: str, labels: list[str]) -> None:
    pid = "77"
    for path, text in {
        f"proc/{pid}/cgroup": "0::/web\n",
        f"proc/{pid}/attr/current": content,
        "sys/fs/cgroup/web/cgroup.procs": f"{pid}\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    text = script("container/lib-labels").replace("/proc/", f"{tmp_path}/proc/")
    done = Place(tmp_path, DOCKER).run(f'{text}\nlabels "$1" selab-web', pid)
    assert done.stdout.splitlines() == [*(f"label {label}" for label in labels), "end"]


def test_the_labels_of_all_processes_and_the_recorded_one_are_reported(tmp_path: Path) -> None:
    for path, text in {
        "proc/77/cgroup": "0::/web\n",
        "proc/77/attr/current": "u:r:web_t:s0\0",
        "proc/79/attr/current": "u:r:worker_t:s0\0",
        "sys/fs/cgroup/web/cgroup.procs": "77\n78\n79\n",  # 78 has ended
        "run/selab/labels-selab-web": "u:r:init_t:s0\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    text = script("container/lib-labels").replace("/proc/", f"{tmp_path}/proc/")
    done = Place(tmp_path, DOCKER).run(f'{text}\nlabels "$1" selab-web', "77")
    *labels, end = done.stdout.splitlines()
    assert sorted(labels) == ["label u:r:init_t:s0", "label u:r:web_t:s0", "label u:r:worker_t:s0"]
    assert (end, done.stderr) == ("end", "")


def test_a_run_names_its_runtime_at_the_start_and_at_the_end(tmp_path: Path) -> None:
    guest = FakeGuest()
    guest.answer(script("container/start"), out="pid 7\nend\n")
    guest.answer(script("container/remove"), out="end\n")
    scenario = Scenario.model_validate({"image": "x", "runtime": "podman"})
    where = (tmp_path, tmp_path, Progress(), lambda: None, recorded_network(guest.commands))
    with running(guest, scenario, Image("x", None), LABEL, *where):
        pass
    assert guest.commands[0][6] == "podman" and guest.commands[-1][-1] == "podman"
