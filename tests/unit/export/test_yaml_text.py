"""YAML of any text is read back as the same text."""

from __future__ import annotations

import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from selab.export.yaml_text import yaml_text


@given(st.dictionaries(st.text(), st.text()))
@example({"policy": "(a)\n--- \n- b: |\n  x\n"})
@example({"on": "no", "y": "0x10\n", "~": "{{ x }}"})
@example({"a": "trailing \n\ttab\n"})
def test_names_and_texts_are_read_back(data: dict[str, str]) -> None:
    assert yaml.safe_load(yaml_text(["a comment"], data)) == data


def test_the_comment_is_above_and_several_lines_are_a_block() -> None:
    assert yaml_text(["one", "two"], {"b": "x\ny\n", "a": 1}) == b"# one\n# two\n---\nb: |\n  x\n  y\na: 1\n"
