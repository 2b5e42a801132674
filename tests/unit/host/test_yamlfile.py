"""The JSON schema of a model for users' files describes each key as the model's docstring does."""

from __future__ import annotations

import pytest

from selab.cli.schema import MODELS
from selab.host.yamlfile import UserModel


class Base(UserModel):
    """A base.

    one_key: first line,
        and second line.
    """

    one_key: str = ""


class Derived(Base):
    """A derived model.

    It has two paragraphs.

    a, b: both keys.
    """

    a: str = ""
    b: str = ""


def test_a_key_is_described_by_its_line() -> None:
    schema = Base.model_json_schema()
    assert schema["properties"]["one_key"]["description"] == "First line, and second line."
    assert schema["description"] == "A base."


def test_a_derived_model_also_describes_the_keys_of_its_base() -> None:
    schema = Derived.model_json_schema()
    assert schema["description"] == "A derived model.\n\nIt has two paragraphs."
    assert [schema["properties"][key]["description"] for key in ("one_key", "a", "b")] == [
        "First line, and second line.",
        "Both keys.",
        "Both keys.",
    ]


@pytest.mark.parametrize("kind", MODELS)
def test_every_key_of_a_users_file_is_described(kind: str) -> None:
    schema = MODELS[kind].model_json_schema(by_alias=True)
    undescribed = [
        f"{part['title']}.{key}"
        for part in (schema, *schema.get("$defs", {}).values())
        for key, value in part.get("properties", {}).items()
        if "description" not in value
    ]
    assert undescribed == []
