"""How volumes come into the guest."""

from __future__ import annotations

from pathlib import Path

import pytest

from selab.container.image import Image
from selab.container.label import ContainerLabel
from selab.container.lifecycle import running
from selab.guest import script
from selab.progress import Progress
from selab.scenario import Scenario
from tests.unit.fakes import FakeGuest, recorded_network

LABELS = [
    (None, "volume_t"),
    ("private", "volume_t"),
    ("shared", "volume_t"),
    ("own_t", "own_t"),
    ("keep", ""),
]


@pytest.mark.parametrize(("label", "given"), LABELS)
def test_a_volume_is_of_the_runtimes_type_before_the_runtime_gives_it_categories(
    label: str | None, given: str, tmp_path: Path
) -> None:
    scenario = Scenario.model_validate({"image": "x", "volumes": [{"target": "/data", "label": label}]})
    guest = FakeGuest()
    guest.answer(script("container/make-volume"))
    guest.answer(script("container/remove"), out="end\n")
    guest.answer("docker", out="pid 7\nend\n")
    where = (tmp_path, tmp_path, Progress(), lambda: None, recorded_network(guest.commands))
    with running(
        guest, scenario, Image("x", None), ContainerLabel("web_t", "s0:c1,c2"), *where, volume_type="volume_t"
    ):
        made = next(argv for argv in guest.commands if argv[2] == script("container/make-volume"))
    assert made[-1] == given
