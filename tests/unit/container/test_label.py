"""The label that a container is to have, and the runtime's own types."""

from __future__ import annotations

from pathlib import Path

import pytest

from selab.container.label import ContainerLabel, random_level, runtime_default_type, runtime_file_type
from selab.errors import SelabError

CONTEXTS = 'process = "system_u:system_r:container_t:s0"\nfile = "system_u:object_r:container_file_t:s0"\n'


def test_the_context_has_the_user_and_role_of_containers() -> None:
    assert ContainerLabel("web_t", "s0:c1,c2").context == "system_u:system_r:web_t:s0:c1,c2"


def test_a_level_has_two_categories_in_ascending_order() -> None:
    low, high = random_level().removeprefix("s0:").split(",")
    assert 0 <= int(low[1:]) < int(high[1:]) < 1024


def test_two_runs_have_different_levels() -> None:
    assert len({random_level() for _ in range(20)}) > 1


def test_the_runtimes_types_are_those_of_the_base_policy(tmp_path: Path) -> None:
    (tmp_path / "lxc_contexts").write_text(CONTEXTS)
    assert (runtime_default_type(tmp_path), runtime_file_type(tmp_path)) == (
        "container_t",
        "container_file_t",
    )


@pytest.mark.parametrize("text", [None, "", "# process = nothing\n"])
def test_a_policy_without_a_domain_for_containers_is_an_error(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "lxc_contexts").write_text(text)
    with pytest.raises(SelabError, match="domain"):
        runtime_default_type(tmp_path)


def test_a_policy_may_have_no_type_for_volumes(tmp_path: Path) -> None:
    assert runtime_file_type(tmp_path) == ""
