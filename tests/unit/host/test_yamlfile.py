"""The JSON schema of a model for users' files describes each key as the model's docstring does."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from pydantic import RootModel

from selab.cli.schema import MODELS
from selab.errors import InputError
from selab.host.yamlfile import MAX_VALUES, UserModel, load_documents, parse, without_tags


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


def with_aliases(text: str) -> Any:
    return without_tags(parse(text, Path("compose.yaml"), RootModel[Any], aliases=True).root)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: &x [1]\nb: *x", {"a": [1], "b": [1]}),
        ("a: &x {k: 1, l: 2}\nb: {<<: *x, l: 3}", {"a": {"k": 1, "l": 2}, "b": {"k": 1, "l": 3}}),
        (
            "a: &x {k: 1}\nb: &y {l: 2}\nc: {<<: [*x, *y]}",
            {"a": {"k": 1}, "b": {"l": 2}, "c": {"k": 1, "l": 2}},
        ),
        ("a: !reset [1]\nb: !override {c: 1}\nd: !override [1]", {"b": {"c": 1}, "d": [1]}),
        ("a: !override x\nb: [!reset x, !override 1]", {"a": "x", "b": [1]}),
        ("a: on", {"a": "on"}),
    ],
)
def test_a_file_with_aliases(text: str, value: Any) -> None:
    assert with_aliases(text) == value


NAMES = "abcdefghijklmnopqrstuvwxyzABCD"
BILLION_LAUGHS = "a: &a [1, 1]\n" + "".join(
    f"{name}: &{name} [*{before}, *{before}]\n" for before, name in pairwise(NAMES[:17])
)
CHAIN = "a: &a [1]\n" + "".join(f"{name}: &{name} [*{before}]\n" for before, name in pairwise(NAMES))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (BILLION_LAUGHS, "after the expansion"),
        ("a: &a {b: *a}", "stands for"),
        (CHAIN, "nested too deeply"),
        ("a: *b", "not valid YAML"),
        ("a: {<<: 1}", "not valid YAML"),
        ("a: !x 1", "YAML tag"),
    ],
)
def test_a_file_whose_aliases_go_too_far_is_refused(text: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        with_aliases(text)


def test_a_file_of_selab_has_no_aliases() -> None:
    with pytest.raises(InputError, match="YAML alias"):
        parse("a: &x [1]\nb: *x", Path("selab.yaml"), RootModel[Any])


@pytest.mark.parametrize(
    ("text", "documents"),
    [
        ("", []),
        ("a: 1", [{"a": 1}]),
        ("---\na: &x 1\nb: *x\n---\n# nothing\n---\n- 2", [{"a": 1, "b": 1}, None, [2]]),
        ("a: !reset 1", [{}]),
    ],
)
def test_the_documents_of_a_file(text: str, documents: list[Any], tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(text)
    assert load_documents(tmp_path / "a.yaml") == documents


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [\n---\nb: 1", "not valid YAML"),
        ("a: &x [*x]", "an alias in the value"),
        ("a: &x 1\n---\nb: *x", "not valid YAML"),
        (f"[{'1,' * (MAX_VALUES // 2)}]\n---\n[{'1,' * (MAX_VALUES // 2)}]", "values"),
        ("a: !!python/name:os.system", "a YAML tag"),
    ],
)
def test_documents_that_are_refused(text: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(InputError, match=problem) as error:
        load_documents(tmp_path / "a.yaml")
    assert str(tmp_path / "a.yaml") in error.value.detail
