"""Compare selab's advice with that of an expert, for denials that are typical on CentOS."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest

from selab.advice.advise import advise
from selab.advice.denied_access import DeniedAccess
from selab.advice.knowledge import PolicyKnowledge
from selab.analysis.explain import causes_of
from selab.container.label import runtime_file_type
from selab.host.local import LocalHost
from selab.policy.base import BasePolicy
from selab.policy.compile import CompiledModule, link
from selab.policy.query.decide import Cause
from selab.policy.toolchain import Toolchain
from tests import centos_like
from tests.advice_table import need_of, outcome, situation_of

ROWS: list[dict[str, Any]] = tomllib.loads((centos_like.SOURCES / "advice_table.toml").read_text())["denial"]
# What the two templates make of a candidate.
CANDIDATE = CompiledModule(
    "web",
    """
(type web_t) (roletype system_r web_t) (typeattributeset domain (web_t))
(typeattributeset container_domain (web_t)) (typeattributeset mcs_constrained_type (web_t))
(allow web_t container_file_t (file (entrypoint read write open)))
(type sandbox_t) (roletype system_r sandbox_t) (typeattributeset domain (sandbox_t))
(typeattributeset svirt_sandbox_domain (sandbox_t))
""",
    frozenset({"web_t", "sandbox_t"}),
)
pytestmark = pytest.mark.toolchain


NEEDS = [need_of(number, row) for number, row in enumerate(ROWS)]


@pytest.fixture(scope="module")
def centos(tmp_path_factory: pytest.TempPathFactory) -> tuple[BasePolicy, PolicyKnowledge, dict[int, Cause]]:
    """Return the base policy, what is known about it with the candidate, and why each row is denied.

    One process decides all rows, because a process takes ten times as long to start as to decide them.
    """
    directory = tmp_path_factory.mktemp("centos")
    base = centos_like.write_base(directory / "base")
    linked = directory / "linked"
    linked.write_bytes(link(base, [CANDIDATE], Toolchain(LocalHost(), str(directory / "work"))).binary)
    return base, PolicyKnowledge.of(base, [CANDIDATE]), causes_of(linked, NEEDS)


@pytest.mark.parametrize(
    "need", NEEDS, ids=[re.sub(r"^system_u:system_r:|:s0\S* ", " ", row["ask"]) for row in ROWS]
)
def test_selab_advises_as_the_expert_does_on(
    need: DeniedAccess, centos: tuple[BasePolicy, PolicyKnowledge, dict[int, Cause]]
) -> None:
    base, knowledge, causes = centos
    row = ROWS[need.number]
    situation = situation_of(row, runtime_file_type(base.directory / "contexts"))
    (advice,) = advise([need], knowledge, {need.number: causes[need.number]}, situation)
    offered = [remedy.text for remedy in advice.remedies]
    assert (outcome(row, advice), offered) == ("right", offered), row["by"]
