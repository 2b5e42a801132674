"""Find and load the scenarios of a project."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from selab.errors import InputError
from selab.host.yamlfile import load
from selab.project import NAME, Project, inside, nearest
from selab.scenario.container import NamedVolume, Volume
from selab.scenario.model import Scenario


def scenario_names(project: Project) -> list[str]:
    return sorted({path.stem for path in _scenario_files(project)})


def _scenario_files(project: Project) -> Iterator[Path]:
    for path in project.scenarios.glob("*.y*ml"):
        if path.suffix in (".yaml", ".yml"):
            yield path


def load_scenario(project: Project, name: str) -> Scenario:
    """Load the scenario `name` of the project. Raises InputError, with similar names, if it is unknown."""
    paths = sorted(path for path in _scenario_files(project) if path.stem == name)
    if not paths:
        hint = (
            f"{nearest(name, scenario_names(project))} To create it, run `selab new scenario {name}`.".strip()
        )
        raise InputError(f"There is no scenario '{name}'.", f"Looked in {project.scenarios}.", hint)
    if len(paths) > 1:
        raise InputError(
            f"The scenario '{name}' has more than one file.",
            ", ".join(map(str, paths)),
            "Remove or rename all but one.",
        )
    path = paths[0]
    if not NAME.fullmatch(path.stem):
        raise InputError(
            f"'{path.stem}' cannot be a scenario's name.", str(path), "Use letters, digits, '_', '.' and '-'."
        )
    inside(project.root, path, f"The scenario '{name}'")
    scenario = load(path, Scenario)
    scenario._name = path.stem
    _refuse_paths_outside(project, scenario, path)
    return scenario


def _refuse_paths_outside(project: Project, scenario: Scenario, path: Path) -> None:
    for name in _volumes_of(scenario):
        source = inside(project.root, project.root / name, f"{path.name}: the volume '{name}'")
        if not source.is_dir():
            hint = "Create it, or omit `source` for an empty volume."
            raise InputError(f"The volume '{name}' is not a directory.", f"{path}: {source}", hint)
    for name in _copies_of(scenario):
        source = inside(project.root, project.root / name, f"{path.name}: the copy of '{name}'")
        if not (source.is_file() or source.is_dir()):
            what = f"There is no file or directory '{name}' to copy."
            raise InputError(what, f"{path}: {source}", "`source` is a path below the project.")


def sources_of(scenario: Scenario) -> list[str]:
    """Return the paths below the project whose files a run copies into the guest."""
    return _volumes_of(scenario) + _copies_of(scenario)


def _volumes_of(scenario: Scenario) -> list[str]:
    volumes: list[Volume | NamedVolume] = [*scenario.named_volumes.values()]
    volumes += [volume for member in scenario.members.values() for volume in member.volumes]
    return [volume.source for volume in volumes if volume.source is not None]


def _copies_of(scenario: Scenario) -> list[str]:
    return [step.copy_.source for step in scenario.steps if step.copy_]
