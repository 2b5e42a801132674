"""What the doctor says about this machine's disks, memory and processors."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from selab.doctor import examine as doctor
from selab.doctor.examine import DISK_NEEDED, State
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
    assert {each.subject for each in findings if each.remedy} == bad


@pytest.mark.parametrize(("total", "state"), [(2560, State.BAD), (2561, State.OK)])
def test_the_memory_must_have_room_for_the_vm_and_for_this_machine(
    monkeypatch: pytest.MonkeyPatch, total: int, state: State
) -> None:
    sizes = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": total * 256}
    monkeypatch.setattr(doctor.os, "sysconf", sizes.__getitem__)
    (finding,) = doctor._memory(2048)
    assert (finding.state, "memory: " in finding.remedy) == (state, state is State.BAD)


@pytest.mark.parametrize(("cpus", "state"), [(1, State.NOTE), (2, State.OK)])
def test_a_vm_with_more_processors_than_this_machine_is_a_note(
    project: Project, monkeypatch: pytest.MonkeyPatch, cpus: int, state: State
) -> None:
    monkeypatch.setattr(doctor.os, "cpu_count", lambda: cpus)
    configured = Project(project.root, ProjectConfig(vm=VmConfig(cpus=2)), project.root)
    (finding,) = [each for each in doctor._resources(configured) if each.subject == "processors"]
    assert finding.state is state
