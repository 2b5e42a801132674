"""Write a scenario into a project, for the tests here."""

from __future__ import annotations

import pytest

from selab.errors import InputError
from selab.project import Project
from selab.scenario.load import load_scenario


def write(project: Project, text: str, name: str = "web") -> None:
    (project.scenarios / f"{name}.yaml").write_text(text)


def refused(project: Project, text: str) -> InputError:
    write(project, text)
    with pytest.raises(InputError) as caught:
        load_scenario(project, "web")
    return caught.value
