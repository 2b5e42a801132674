"""Build a scenario from services of a Compose file (specified at github.com/compose-spec/compose-spec)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from selab.project import Project
from selab.scaffold.compose.file import SECTIONS, Application, load_application
from selab.scaffold.compose.relations import relate, related_keys
from selab.scaffold.compose.service import add_service
from selab.scaffold.image_config import quoted
from selab.scaffold.import_keys import name_unsupported_keys
from selab.scaffold.scenario_builder import ScenarioBuilder


def from_compose(
    project: Project, file: Path, names: Sequence[str] = (), profiles: Sequence[str] = ()
) -> ScenarioBuilder:
    """Build the scenario of the services `names` of `file`, by default of all that no profile hides.

    Raises InputError if the file is invalid, or if a service or a profile is unknown.
    """
    application = load_application(project, file, names, profiles)
    scenario = ScenarioBuilder()
    services = [service.name for service in application.services]
    is_single = len(services) == 1
    scenario.describe(f"The service{'' if is_single else 's'} {', '.join(services)} of {file.name}.")
    for service in application.services:
        builder = scenario.container(service.name)
        elsewhere = () if is_single else related_keys(service.settings, services)
        add_service(builder, project, service.settings, service.directory, elsewhere=elsewhere)
        for value, reason in service.left:
            builder.leave(value, reason)
    if not is_single:
        relate(scenario, application.services)
    _name_sections(scenario, application)
    for name, own in application.hidden.items():
        scenario.leave(
            f"service {quoted(name)}", f"choose it with --profile {quoted(' '.join(own[:3]))[1:-1]}"
        )
    return scenario


def _name_sections(scenario: ScenarioBuilder, application: Application) -> None:
    """List what the rest of the file says and a scenario cannot have."""
    remarks = scenario.general
    for entry in application.includes:
        name_unsupported_keys(remarks, "include", entry, "include.")
    for section in SECTIONS:
        names = set().union(*(_used(section, each.settings) for each in application.services))
        for name, fields in application.sections.get(section, {}).items():
            if name not in names or fields is None:
                continue
            if isinstance(fields, dict):
                name_unsupported_keys(remarks, section, fields, f"{section}.{name}.")
            else:
                remarks.leave(f"{section}.{quoted(name)[1:-1]}", "it must be an object")
    for value, reason in application.left:
        remarks.leave(value, reason)


def _used(section: str, settings: Mapping[str, Any]) -> set[str]:
    """Return the names of the objects of a section that a service uses."""
    names = set(_names(settings.get(section)))
    is_default = section == "networks" and not names and settings.get("network_mode") is None
    return {"default"} if is_default else names


def _names(value: Any) -> Iterator[str]:
    """Yield the names in an object by name, in a list of names, and in lists in the long syntax."""
    for item in value if isinstance(value, dict | list) else ():
        name = item.get("source") if isinstance(item, dict) else item
        # A volume is `NAME:TARGET`.
        yield str(name).partition(":")[0]
