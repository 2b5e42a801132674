"""What the doctor says about this machine's disks, memory and processors."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from selab.doctor import examine as doctor
from selab.doctor.examine import DISK_NEEDED, Finding, State
from selab.project import Project, ProjectConfig, VmConfig

GIB = 1 << 30


@pytest.mark.parametrize(
    ("full", "bad"),
    [("", set()), ("cache", {"disk (cache)"}), ("project", {"disk (project)"})],
    ids=["room", "full cache", "full project"],
)
def test_the_disks_of_the_cache_and_of_the_project_need_room(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: str, bad: set[str]
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("SELAB_CACHE", str(cache))
    path = {"": None, "cache": cache, "project": project.root}[full]
    needed = DISK_NEEDED * GIB
    monkeypatch.setattr(
        "shutil.disk_usage", lambda each: SimpleNamespace(free=needed - 1 if each == path else needed)
    )
    findings = [each for each in doctor._resources(project) if each.subject.startswith("disk")]
    assert [each.subject for each in findings] == ["disk (cache)", "disk (project)"]
    assert {each.subject for each in findings if each.state is State.BAD} == bad
    assert {each.subject: each.remedy for each in findings if each.remedy} == dict.fromkeys(
        bad, "8 GiB are needed."
    )
    free = {"disk (cache)": f" GiB free in {cache}", "disk (project)": f" GiB free in {project.root}"}
    assert {each.subject: each.detail for each in findings} == {
        subject: f"{7 if subject in bad else 8}{text}" for subject, text in free.items()
    }


@pytest.mark.parametrize(("total", "state"), [(2560, State.BAD), (2561, State.OK)])
def test_the_memory_must_have_room_for_the_vm_and_for_this_machine(
    monkeypatch: pytest.MonkeyPatch, total: int, state: State
) -> None:
    sizes = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": total * 256}
    monkeypatch.setattr(doctor.os, "sysconf", sizes.__getitem__)
    (finding,) = doctor._memory(2048)
    remedy = "" if state is State.OK else "Set `vm: {memory: ...}` in selab.yaml."
    assert finding == Finding("memory", state, f"{total} MiB, of which the VM gets 2048", remedy)


def test_a_system_that_does_not_report_its_memory_has_no_finding_about_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def sysconf(name: str) -> int:
        raise ValueError(name)

    monkeypatch.setattr(doctor.os, "sysconf", sysconf)
    assert list(doctor._memory(2048)) == []


@pytest.mark.parametrize(("cpus", "state"), [(None, State.NOTE), (1, State.NOTE), (2, State.OK)])
def test_a_vm_with_more_processors_than_this_machine_is_a_note(
    project: Project, monkeypatch: pytest.MonkeyPatch, cpus: int | None, state: State
) -> None:
    monkeypatch.setattr(doctor.os, "cpu_count", lambda: cpus)
    configured = Project(project.root, ProjectConfig(vm=VmConfig(cpus=2)), project.root)
    (finding,) = [each for each in doctor._resources(configured) if each.subject == "processors"]
    assert finding == Finding("processors", state, f"{cpus or 1}; the VM gets 2")
