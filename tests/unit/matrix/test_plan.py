"""What a matrix file asks for, and what its runs come to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from selab.errors import InputError
from selab.history import Record
from selab.host.yamlfile import load
from selab.matrix.model import Matrix
from selab.matrix.plan import Cell, Ended, Failure, cells, exit_code
from selab.policy.guest.load import Mode
from selab.project import BoxSource, HostConfig, Project, VmConfig
from selab.run.verdict import Verdict

from .fakes import ended


def planned(lab: Project, **data: Any) -> list[str]:
    return [str(cell) for cell in cells(lab, Matrix.model_validate({"scenarios": ["web"], **data}))]


def test_every_combination_is_a_run_in_the_files_order(lab: Project) -> None:
    cells = planned(lab, policies=["full", "draft"], modes=["enforcing", "permissive"], guests=["debian13"])
    assert cells == [
        f"web {policy} {mode} debian13"
        for policy in ("full", "draft")
        for mode in ("enforcing", "permissive")
    ]


def test_without_policies_each_scenario_has_its_own(lab: Project) -> None:
    assert planned(lab, scenarios=["web", "cache"]) == [
        "web full enforcing auto",
        "cache draft enforcing auto",
    ]


def test_the_base_policy_alone_can_be_asked_for(lab: Project) -> None:
    assert planned(lab, policies=["none"]) == ["web none enforcing auto"]


def test_what_is_named_twice_is_run_once(lab: Project) -> None:
    assert len(planned(lab, scenarios=["web", "web"], policies=["full", "full"])) == 1


def test_what_is_excluded_is_left_out(lab: Project) -> None:
    exclude = [{"policy": "draft", "mode": "enforcing"}]
    cells = planned(lab, policies=["full", "draft"], modes=["enforcing", "permissive"], exclude=exclude)
    assert "web draft enforcing auto" not in cells and len(cells) == 3


def test_a_machine_of_ones_own_is_no_guest_of_a_matrix(lab: Project) -> None:
    existing = {"box": "host", "host": {"address": "lab.example.org"}}
    with pytest.raises(InputError) as caught:
        planned(lab, guests=["debian13", *({"name": name, **existing} for name in ("mine", "yours"))])
    assert (caught.value.what, caught.value.detail, caught.value.hint) == (
        "A matrix only runs on VMs that selab manages.",
        "'mine' is `box: host`, an existing machine.",
        "Name boxes as `guests`.",
    )


def test_a_box_is_not_the_projects_own_machine() -> None:
    own = VmConfig(box="host", host=HostConfig(address="lab.example.org"))
    assert settings(own, "debian13")["debian13"].host is None


@pytest.mark.parametrize("key", ["exclude", "expect"])
def test_an_entry_that_fits_nothing_is_a_mistake(lab: Project, key: str) -> None:
    entry = {"policy": "draught", **({"verdict": "fail"} if key == "expect" else {})}
    with pytest.raises(InputError) as caught:
        planned(lab, **{key: [entry]})
    assert (caught.value.what, caught.value.detail, caught.value.hint) == (
        "An `exclude` or `expect` entry matches nothing.",
        "draught",
        "Correct the entry, or remove it.",
    )


def test_nothing_left_is_a_mistake(lab: Project) -> None:
    with pytest.raises(InputError) as caught:
        planned(lab, exclude=[{"scenario": "web"}])
    assert (caught.value.what, caught.value.hint) == (
        "The matrix excludes all its combinations.",
        "Remove an entry of `exclude`.",
    )


@pytest.mark.parametrize("data", [{"scenarios": ["wep"]}, {"policies": ["fool"]}])
def test_a_name_that_is_none_is_told_before_any_run(lab: Project, data: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="There is no"):
        planned(lab, **data)


def test_the_first_expectation_that_fits_counts(lab: Project) -> None:
    expect = [
        {"policy": "draft", "mode": "permissive", "verdict": "pass"},
        {"policy": "draft", "verdict": "fail"},
    ]
    matrix = Matrix.model_validate(
        {"scenarios": ["web"], "policies": ["draft"], "modes": ["enforcing", "permissive"], "expect": expect}
    )
    assert [cell.expected for cell in cells(lab, matrix)] == [Verdict.FAIL, Verdict.PASS]


@pytest.mark.parametrize(
    "data",
    [
        {"scenarios": []},
        {"scenarios": ["web"], "modes": []},
        {"scenarios": ["web"], "modes": ["yes"]},
        {"scenarios": ["web"], "guests": ["windows"]},
        {"scenarios": ["web"], "guests": [{"box": "debian13"}]},
        {"scenarios": ["web"], "guests": [{"name": "../x"}]},
        {"scenarios": ["web"], "guests": ["debian13", {"name": "debian13"}]},
        {"scenarios": ["web"], "exclude": [{}]},
        {"scenarios": ["web"], "expect": [{"policy": "x", "verdict": "error"}]},
        {"scenarios": ["web"], "colour": "red"},
    ],
)
def test_a_mistake_is_named(tmp_path: Path, data: dict[str, Any]) -> None:
    import yaml

    (tmp_path / "matrix.yaml").write_text(yaml.safe_dump(data))
    with pytest.raises(InputError, match="matrix.yaml is not valid"):
        load(tmp_path / "matrix.yaml", Matrix)


def settings(own: VmConfig, *guests: Any) -> dict[str, VmConfig]:
    return Matrix.model_validate({"scenarios": ["web"], "guests": guests}).settings(own)


def test_without_guests_it_is_the_projects_own() -> None:
    own = VmConfig(box="debian13", memory=4096)
    assert settings(own) == {"debian13": own}


def test_a_guest_has_what_it_does_not_say_from_the_project() -> None:
    assert settings(VmConfig(memory=4096, cpus=1), {"name": "big", "cpus": 8}) == {
        "big": VmConfig(memory=4096, cpus=8)
    }


def test_another_box_is_not_the_projects_own_file() -> None:
    own = VmConfig(box="centos9", source=BoxSource(file="/x.box"))
    assert settings(own, "debian13", "centos9") == {"debian13": VmConfig(box="debian13"), "centos9": own}


@pytest.mark.parametrize(
    ("runs", "code"),
    [
        ([ended(verdict="PASS")], 0),
        ([ended(verdict="PASS"), ended(verdict="FAIL")], 1),
        ([ended(verdict="FAIL", expected="FAIL")], 0),
        ([ended(verdict="PASS", expected="FAIL")], 1),
        ([ended(verdict="FAIL"), ended(verdict="ERROR")], 3),
        ([ended(verdict="ERROR", expected="FAIL")], 3),
        ([ended(verdict="PASS"), ended()], 3),
    ],
)
def test_the_exit_code(runs: list[Any], code: int) -> None:
    assert exit_code(runs) == code


def test_a_cell_asks_for_its_run() -> None:
    request = Cell("web", "none", Mode.DOMAIN, "auto").request
    assert (request.scenario, request.policy, request.mode) == ("web", "none", Mode.DOMAIN)


def test_a_run_has_the_reasons_of_its_verdict_and_a_failure_its_lines() -> None:
    cell = ended().cell
    run = ended(verdict="FAIL")
    assert isinstance(run.result, Record) and run.reasons == run.result.document.reasons != ()
    assert Ended(cell, Failure("It failed.", "", "Try again.")).reasons == ("It failed.", "Try again.")
    assert Ended(cell, Failure("It failed.", "Why.", "")).reasons == ("It failed.", "Why.")
