"""A container's volumes."""

from __future__ import annotations

import pytest

from selab.errors import InputError
from selab.project import Project
from selab.scenario.load import load_scenario
from tests.unit.scenario.written import refused, write


@pytest.mark.parametrize("target", ["/../etc", "/data/../../x", "/", "//"])
def test_a_volumes_target_does_not_lead_elsewhere(project: Project, target: str) -> None:
    write(project, f"image: httpd\nvolumes:\n  - {{target: {target}}}\n")
    with pytest.raises(InputError, match="web.yaml"):
        load_scenario(project, "web")


def test_a_volumes_target_is_said_in_one_way(project: Project) -> None:
    write(project, "image: httpd\nvolumes:\n  - {target: //data/./x/}\n")
    assert load_scenario(project, "web").volumes[0].target == "/data/x"


@pytest.mark.parametrize(
    ("volume", "word"),
    [
        ("{target: /data, source: data, guest_path: /srv}", "either"),
        ("{target: /data, guest_path: /srv, label: contexts}", "in the guest"),
        ("{target: data}", "pattern"),
        ('{target: "/a:b"}', "pattern"),
        ("{target: /data, guest_path: srv}", "pattern"),
        ("{target: /data, source: -x}", "does not begin"),
    ],
)
def test_a_volume_that_contradicts_itself_is_refused(project: Project, volume: str, word: str) -> None:
    assert word in refused(project, f"image: httpd\nvolumes:\n  - {volume}\n").what
