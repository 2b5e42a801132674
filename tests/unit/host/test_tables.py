"""Each list of variants against its table: container runtimes, guests and package families."""

from __future__ import annotations

from dataclasses import fields
from importlib.resources import files
from typing import Any

import pytest

from selab.auditlog import attribution
from selab.cli.box import build, name
from selab.cli.schema import MODELS
from selab.container.runtime import Runtime, runtimes
from selab.doctor import support_report
from selab.guest import script
from selab.host.tables import PROFILES, PROVISION, RUNTIMES, table
from selab.scenario.model import STANDARD_RUNTIME, Scenario
from selab.vm import provision, rescue
from selab.vm.box import profiles as recipes
from selab.vm.boxes import fallback, preferred, profiles
from selab.vm.guest_agent import guard

PATHS = (PROFILES, PROVISION, RUNTIMES)
FAMILIES = tuple(table(PROVISION)["family"])


def enum_of(kind: str, part: str | None, key: str) -> list[str]:
    """The values that the JSON Schema of a file allows for a key."""
    schema = MODELS[kind].model_json_schema(by_alias=True)
    definition: dict[str, Any] = (schema["$defs"][part] if part else schema)["properties"][key]
    values = definition.get("enum") or [
        value for option in definition["anyOf"] for value in option.get("enum", [option.get("const")])
    ]
    return [value for value in values if value]


def test_every_table_is_read() -> None:
    assert {path.name for path in files("selab").joinpath("vm").iterdir() if path.name.endswith(".toml")} | {
        path.name for path in files("selab").joinpath("container").iterdir() if path.name.endswith(".toml")
    } == {path.rpartition("/")[2] for path in PATHS}


# --- runtimes ---------------------------------------------------------------------------------------


def test_a_scenario_can_name_each_runtime_and_no_other() -> None:
    assert enum_of("scenario", None, "runtime") == list(table(RUNTIMES)) == list(runtimes())


def test_one_runtime_is_the_standard_one_and_runs_a_scenario_that_names_none() -> None:
    assert [runtime.name for runtime in runtimes().values() if runtime.standard] == [STANDARD_RUNTIME]
    assert Scenario(image="x:y").runtime == STANDARD_RUNTIME


@pytest.mark.parametrize("runtime", runtimes())
def test_a_runtimes_table_has_the_fields_of_the_class_and_the_steps(runtime: str) -> None:
    assert set(table(RUNTIMES)[runtime]) | {"name"} == {field.name for field in fields(Runtime)} | {"steps"}


@pytest.mark.parametrize("runtime", runtimes())
def test_every_family_gets_each_runtime(runtime: str) -> None:
    for family in FAMILIES:
        assert any(step.packages for step in provision.runtime_steps(family, runtime))


@pytest.mark.parametrize("runtime", runtimes())
def test_a_family_of_a_runtimes_steps_is_one_that_selab_prepares(runtime: str) -> None:
    assert set(table(RUNTIMES)[runtime]["steps"]) <= {*FAMILIES, provision.EVERY}


@pytest.mark.parametrize("runtime", runtimes().values(), ids=runtimes())
def test_denials_of_its_own_processes_are_the_runtimes(runtime: Runtime) -> None:
    assert set(runtime.domains) <= attribution.RUNTIME_DOMAINS
    assert set(runtime.programs) <= attribution.RUNTIME_PROGRAMS


def test_only_runtimes_have_domains_and_programs_of_their_own() -> None:
    every = runtimes().values()
    assert {domain for runtime in every for domain in runtime.domains} == attribution.RUNTIME_DOMAINS
    assert {program for runtime in every for program in runtime.programs} == attribution.RUNTIME_PROGRAMS


def test_the_services_of_all_runtimes_are_started_again_and_checked() -> None:
    services = [runtime.service for runtime in runtimes().values() if runtime.service]
    (step,) = [step for step in provision.steps("apt") if str(guard.RUNTIME_SERVICES) in step.files]
    assert step.files[str(guard.RUNTIME_SERVICES)].decode().split() == services
    assert list(rescue.runtime_services()) == services


def test_the_checklist_knows_each_runtime_by_its_title() -> None:
    assert {runtime.title for runtime in runtimes().values()} == support_report.TITLES


# --- guests -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "part"), [("project", "VmConfig"), ("matrix", "GuestSpec")])
def test_a_box_can_be_each_profile_auto_or_host(kind: str, part: str) -> None:
    assert enum_of(kind, part, "box") == ["auto", *table(PROFILES), "host"]


def test_a_matrix_can_name_each_profile_as_a_guest() -> None:
    schema = MODELS["matrix"].model_json_schema()["properties"]["guests"]["items"]["anyOf"]
    assert [option["enum"] for option in schema if "enum" in option] == [["auto", *profiles()]]


def test_a_profile_has_a_recipe_if_no_site_has_its_box_and_only_then() -> None:
    assert recipes() == sorted(profile.name for profile in profiles().values() if profile.is_built)


def test_a_profiles_family_is_one_that_selab_prepares() -> None:
    assert {profile.family for profile in profiles().values()} <= set(FAMILIES)


def test_auto_takes_one_profile_that_is_downloaded_and_else_one_that_is_built() -> None:
    roles = [profile.auto for profile in profiles().values() if profile.auto]
    assert sorted(roles) == ["fallback", "preferred"]
    assert profiles()[fallback()].is_built and not profiles()[preferred()].is_built


@pytest.mark.parametrize("command", [build, name], ids=lambda command: str(command.name))
def test_a_box_is_built_from_the_fallback_by_default_and_the_help_says_so(command: Any) -> None:
    (argument,) = command.params
    assert argument.default() == fallback() and f"({fallback()})" in command.help


# --- package families -------------------------------------------------------------------------------


def test_provisioning_has_steps_for_each_family_and_no_other() -> None:
    assert set(table(PROVISION)) == {"family", *FAMILIES, provision.EVERY}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_installs_the_packages_of_a_step(family: str) -> None:
    (step,) = [step for step in provision.steps(family) if step.name == "SELinux and audit tools"]
    assert step.packages and step.apply == script(table(PROVISION)["family"][family]["install"])
