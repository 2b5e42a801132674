"""The published schemas are those of the models, and say the same as these about what users write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from selab.cli.schema import MODELS, schema_text

ROOT = Path(__file__).parents[3]


def errors(kind: str, data: Any) -> list[str]:
    return [
        error.message
        for error in jsonschema.Draft202012Validator(json.loads(schema_text(kind))).iter_errors(data)
    ]


@pytest.mark.parametrize("kind", MODELS)
def test_what_is_published_is_current(kind: str) -> None:
    assert (ROOT / "docs" / "schema" / f"{kind}.json").read_text() == schema_text(kind)


@pytest.mark.parametrize("path", sorted((ROOT / "scenarios").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_examples_are_valid(path: Path) -> None:
    assert errors("scenario", yaml.safe_load(path.read_text())) == []


@pytest.mark.parametrize("kind, name", [("project", "selab.yaml"), ("matrix", "matrix.yaml")])
def test_the_projects_own_file_is_valid(kind: str, name: str) -> None:
    assert errors(kind, yaml.safe_load((ROOT / name).read_text())) == []


@pytest.mark.parametrize(
    "data", [{}, {"image": "x", "stepz": []}, {"image": "x", "ports": [{"guest": 0, "container": 80}]}]
)
def test_a_mistake_is_none(data: dict[str, Any]) -> None:
    assert errors("scenario", data)
