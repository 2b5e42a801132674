"""Read the interfaces of the guest's own policy."""

from __future__ import annotations

from collections.abc import Callable

from selab.analysis.offline import last_base
from selab.policy.interfaces import interface_table
from selab.progress import Progress
from selab.project import Project
from selab.run import experiment


def test_no_interface_is_broken(project: Project, session_run: Callable[..., experiment.Run]) -> None:
    session_run("apache", mode="permissive")
    table = interface_table(last_base(project, Progress()))
    assert [(each.name, each.broken) for each in table if each.broken] == []
