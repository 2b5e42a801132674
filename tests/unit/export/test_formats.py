"""The table of formats."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from selab.export.formats import FORMATS, Format

from .conftest import MaterialOf, cil

PAGE = Path(__file__).parents[3] / "docs/howto/export.md"


@pytest.mark.parametrize("form", FORMATS.values(), ids=lambda form: form.name)
def test_each_format_has_its_function_and_a_row_in_the_page(form: Format) -> None:
    assert callable(getattr(importlib.import_module(f"selab.export.{form.module}"), form.name))
    assert f"| `{form.name}` |" in PAGE.read_text()


@pytest.mark.parametrize("name", sorted(FORMATS.keys() - {"te", "pp"}))
def test_each_format_for_cil_has_the_run_in_each_of_its_files(proven: MaterialOf, name: str) -> None:
    material = proven(cil())
    for file in FORMATS[name].export(material).files:
        if not file.path.endswith(("inst", "prerm")):  # dpkg's scripts are selab's own
            assert b"Proven by the enforcing run 20261123-220000-abcd of 2026-11-23" in file.data
