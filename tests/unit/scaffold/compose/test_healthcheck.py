"""A health check of Compose becomes a command and a limit."""

from __future__ import annotations

from typing import Any

import pytest

from selab.scaffold.compose.healthcheck import add_health, seconds
from selab.scaffold.container_builder import ContainerBuilder


@pytest.mark.parametrize(
    ("check", "health"),
    [
        ({"test": ["CMD", "check", "-x"]}, {"command": ["check", "-x"]}),
        ({"test": ["CMD-SHELL", "a || b"]}, {"command": ["/bin/sh", "-c", "a || b"]}),
        ({"test": "a $$B"}, {"command": ["/bin/sh", "-c", "a $B"]}),
        ({"test": ["CMD", "x"], "interval": "1s", "retries": 3}, {"command": ["x"], "timeout": 93}),
        ({"test": ["CMD", "x"], "interval": "1s", "timeout": "1s", "retries": 3}, {"command": ["x"]}),
        ({"start_period": "2m", "retries": "1"}, {"timeout": 180}),
        ({"interval": "2h"}, {"timeout": 3600}),
    ],
)
def test_a_check_is_taken(check: dict[str, Any], health: dict[str, Any]) -> None:
    builder = ContainerBuilder()
    assert add_health(builder, check) is True
    assert (builder.data, builder.left) == ({"health": health}, [])


@pytest.mark.parametrize("check", [{}, {"test": []}, {"interval": "1s", "timeout": "1s"}])
def test_without_a_command_the_check_is_that_of_the_image(check: dict[str, Any]) -> None:
    builder = ContainerBuilder()
    assert add_health(builder, check) is True
    assert (builder.data, builder.left) == ({}, [])


@pytest.mark.parametrize(
    "check",
    [
        {"disable": True},
        {"test": ["NONE"]},
        {"test": ["CMD"]},
        {"test": ["check"]},
        {"test": ["CMD-SHELL", "mysqladmin ping --password=hunter2"]},
        {"test": "curl http://me:hunter2@localhost"},
        {"test": "$A", "interval": "1h"},
        {"test": {"a": 1}},
    ],
)
def test_a_check_that_cannot_be_is_named_without_a_secret(check: dict[str, Any]) -> None:
    builder = ContainerBuilder()
    assert add_health(builder, check) is False
    assert (builder.data, len(builder.left)) == ({}, 1)
    assert "hunter2" not in builder.left[0]


@pytest.mark.parametrize(
    ("text", "number"), [("1m30s", 90), ("1.5s", 1.5), ("500ms", 0.5), ("2h", 7200), ("0s", 0)]
)
def test_a_duration(text: str, number: float) -> None:
    assert seconds(text) == number


@pytest.mark.parametrize("text", ["", "1", "1d", "s", "1s 2s", "-1s", "1e9s", [1]])
def test_what_is_no_duration_is_refused(text: Any) -> None:
    with pytest.raises(ValueError):
        seconds(text)
