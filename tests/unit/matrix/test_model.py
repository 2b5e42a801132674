"""The matrix file: which combinations an entry selects, and which settings a guest has."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from selab.matrix.model import Expected, GuestSpec, Matrix, Selector
from selab.policy.guest.load import Mode
from selab.project import BoxSource, HostConfig, VmConfig

COMBINATION = ("web", "full", Mode.ENFORCING, "debian13")
OTHERS = {"scenario": "cache", "policy": "draft", "mode": "permissive", "guest": "centos9"}
SAME = {"scenario": "web", "policy": "full", "mode": "enforcing", "guest": "debian13"}


@pytest.mark.parametrize("key", SAME)
def test_an_entry_selects_the_combinations_that_have_its_value(key: str) -> None:
    assert Selector.model_validate({key: SAME[key]}).fits(*COMBINATION)
    assert not Selector.model_validate({key: OTHERS[key]}).fits(*COMBINATION)


@pytest.mark.parametrize("key", SAME)
def test_an_entry_with_several_values_selects_only_what_has_all_of_them(key: str) -> None:
    assert Selector.model_validate(SAME).fits(*COMBINATION)
    assert not Selector.model_validate(SAME | {key: OTHERS[key]}).fits(*COMBINATION)


@pytest.mark.parametrize("kind", [Selector, Expected])
def test_an_entry_that_would_select_everything_is_refused(kind: type[Selector]) -> None:
    with pytest.raises(ValidationError, match="requires at least one of"):
        kind.model_validate({"verdict": "fail"} if kind is Expected else {})


def test_an_error_cannot_be_expected() -> None:
    with pytest.raises(ValidationError, match="'pass' or 'fail'"):
        Expected.model_validate({"policy": "draft", "verdict": "error"})


def test_an_entry_is_named_by_its_values() -> None:
    assert str(Selector.model_validate({"guest": "centos9", "policy": "draft"})) == "draft centos9"


def test_by_default_only_the_enforcing_mode_is_run() -> None:
    assert Matrix.model_validate({"scenarios": ["web"]}).modes == (Mode.ENFORCING,)


@pytest.mark.parametrize(
    ("fields", "settings"),
    [
        ({}, VmConfig(box="centos9", source=BoxSource(file="/x.box"), memory=4096)),
        ({"memory": 2048}, VmConfig(box="centos9", source=BoxSource(file="/x.box"), memory=2048)),
        ({"box": "debian13"}, VmConfig(box="debian13", memory=4096)),
        ({"box": "centos9"}, VmConfig(box="centos9", memory=4096)),
        (
            {"box": "debian13", "source": BoxSource(file="/y.box")},
            VmConfig(box="debian13", source=BoxSource(file="/y.box"), memory=4096),
        ),
    ],
)
def test_a_guest_overrides_what_it_names_and_a_box_overrides_its_source(
    fields: dict[str, Any], settings: VmConfig
) -> None:
    """A setting that is named with the default's value is an override as well."""
    own = VmConfig(box="centos9", source=BoxSource(file="/x.box"), memory=4096)
    assert GuestSpec(name="guest", **fields).over(own) == settings


def test_a_box_replaces_the_projects_existing_host() -> None:
    own = VmConfig(box="host", host=HostConfig(address="lab.test"), cpus=4)
    assert GuestSpec(name="guest", box="debian13").over(own) == VmConfig(box="debian13", cpus=4)


def test_the_projects_own_box_by_its_name_keeps_its_source() -> None:
    own = VmConfig(box="centos9", source=BoxSource(file="/x.box"))
    settings = Matrix.model_validate({"scenarios": ["web"], "guests": ["centos9", "debian13"]}).settings(own)
    assert settings == {"centos9": own, "debian13": VmConfig(box="debian13")}


@pytest.mark.parametrize("guests", [[], ["centos9"], ["debian13"]])
def test_the_base_policy_of_commands_without_a_vm_is_no_setting_of_a_guest(guests: list[str]) -> None:
    own = VmConfig(box="centos9", base="debian13")
    settings = Matrix.model_validate({"scenarios": ["web"], "guests": guests}).settings(own)
    assert [vm.base for vm in settings.values()] == [""]


@pytest.mark.parametrize("guests", [["debian13", "debian13"], ["debian13", {"name": "debian13"}]])
def test_two_guests_of_one_name_are_refused(guests: list[Any]) -> None:
    with pytest.raises(ValidationError, match="two guests have the same name"):
        Matrix.model_validate({"scenarios": ["web"], "guests": guests})
