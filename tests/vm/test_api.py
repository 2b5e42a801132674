"""Test a policy as a user of the plugin does."""

from __future__ import annotations

import pytest

from selab.api import Result, Selab
from selab.errors import InputError
from selab.history import History
from selab.project import Project


@pytest.fixture(scope="module")
def draft(selab: Selab) -> Result:
    return selab.run("apache", mode="permissive")


def test_the_full_policy_is_enough(selab: Selab) -> None:
    selab.run("apache", mode="enforcing", policy="selab_apache_full").assert_pass()


def test_the_draft_is_not(draft: Result) -> None:
    draft.assert_fail()
    draft.assert_denied(
        source="selab_apache_t", target="http_port_t", tclass="tcp_socket", permission="name_bind"
    )


def test_apache_has_no_use_for_passwords(draft: Result) -> None:
    draft.assert_not_denied(target="shadow_t")


def test_a_type_that_the_guest_does_not_have_is_an_error(draft: Result) -> None:
    with pytest.raises(InputError, match="shadow_t"):
        draft.assert_not_denied(target="shadov_t")


def test_it_is_in_the_history(draft: Result, project: Project) -> None:
    assert History.of(project).find(draft.document.run).document == draft.document
