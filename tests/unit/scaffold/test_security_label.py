"""The label of a container becomes the scenario's label."""

from __future__ import annotations

from typing import Any

import pytest

from selab.scaffold.container_builder import ContainerBuilder
from selab.scaffold.security_label import add_label


@pytest.mark.parametrize(
    ("options", "label"),
    [
        (["label=type:web.process"], {"type": "web.process"}),
        (["label=type=web.process"], {"type": "web.process"}),
        (["label:type:web_t", "label:level:s0:c100,c200"], {"type": "web_t", "level": "s0:c100,c200"}),
        (["label=level:s0:c1"], {"level": "s0:c1"}),
    ],
)
def test_options(options: list[str], label: dict[str, str]) -> None:
    builder = ContainerBuilder()
    add_label(builder, options, "system_u:system_r:container_t:s0:c1,c2")
    assert (builder.data, builder.left) == ({"label": label}, [])


@pytest.mark.parametrize(
    "option",
    ["label=disable", "label=user:x_u", "label=type:a b", "label=level:x", "seccomp=unconfined", "label"],
)
def test_what_a_scenario_cannot_have_is_named(option: str) -> None:
    builder = ContainerBuilder()
    add_label(builder, [option])
    assert (builder.data, len(builder.left)) == ({}, 1)


@pytest.mark.parametrize(
    ("process_label", "data", "left"),
    [
        ("system_u:system_r:web.process:s0:c1,c2", {"label": {"type": "web.process"}}, 0),
        ("system_u:system_r:container_t:s0:c1,c2", {}, 0),
        ("system_u:system_r:spc_t:s0", {}, 1),
        ("u:r:a b:s0", {}, 1),
        ("", {}, 0),
        ("x", {}, 0),
    ],
)
def test_the_label_of_the_process(process_label: str, data: dict[str, Any], left: int) -> None:
    builder = ContainerBuilder()
    add_label(builder, (), process_label)
    assert (builder.data, len(builder.left)) == (data, left)


def test_the_type_of_an_option_counts_more_than_the_label_of_the_process() -> None:
    builder = ContainerBuilder()
    add_label(builder, ["label=type:web_t"], "system_u:system_r:other_t:s0")
    assert builder.data == {"label": {"type": "web_t"}}
