"""The values that a scenario may contain."""

from __future__ import annotations

import pytest

from selab.project import Project
from selab.scenario.load import load_scenario
from tests.unit.scenario.written import refused, write


@pytest.mark.parametrize("image", ["-x", "../x", "a/../b", "a b", "x" * 256])
def test_what_is_no_image_says_what_one_is(project: Project, image: str) -> None:
    must = "must be an image's name, or a reference such as registry/name:tag"
    assert refused(project, f"image: {image}\n").what == f"web.yaml is not valid: image: {must}."


@pytest.mark.parametrize("image", ["Httpd", "0", "reg.test:5000/A_b/c-D:1.2@sha256", "x" * 255])
def test_each_name_and_reference_of_an_image_is_accepted(project: Project, image: str) -> None:
    write(project, f'image: "{image}"\n')
    assert load_scenario(project, "web").image == image
