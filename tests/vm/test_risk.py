"""Compare the table of risks with the guest's own policy."""

from __future__ import annotations

from collections.abc import Callable

from selab.analysis.offline import last_base
from selab.policy.query.index import PolicyIndex
from selab.policy.query.risk import names_without_a_type
from selab.progress import Progress
from selab.project import Project
from selab.run import experiment


def test_each_name_of_the_table_matches_a_type(
    project: Project, session_run: Callable[..., experiment.Run]
) -> None:
    session_run("apache", mode="permissive")
    assert names_without_a_type(PolicyIndex.of(last_base(project, Progress()))) == []
