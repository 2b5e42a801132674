"""The containers that a run starts."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.workloads import scenario, workload


@pytest.mark.parametrize(
    ("networks", "expected"), [([None, None], True), (["host", "none"], False), (["host", "pod"], True)]
)
def test_several_containers_have_a_network_unless_none_of_them_is_in_it(
    networks: list[str | None], expected: bool
) -> None:
    containers: dict[str, Any] = {
        f"c{number}": {"image": "x", "network": network} for number, network in enumerate(networks)
    }
    of = workload(scenario(containers=containers))
    assert (of.has_network, of.is_single) == (expected, False)


def test_a_single_container_has_the_runtimes_network() -> None:
    of = workload(scenario())
    assert (of.has_network, of.is_single) == (False, True)
