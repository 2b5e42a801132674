"""What is said to failures without a denial."""

from __future__ import annotations

from pathlib import Path

import pytest

from selab.advice.selinux_error import UNKNOWN, remedy_of
from selab.auditlog.events import read_events

CORPUS = Path(__file__).parents[2] / "corpus"


def test_a_role_that_lacks_the_type_gets_it() -> None:
    assert remedy_of("security_compute_sid", "", "", "u:system_r:web_t:s0").startswith(
        "role system_r types web_t;"
    )


def test_a_bounded_transition_names_both_domains() -> None:
    remedy = remedy_of("security_bounded_transition", "u:r:init_t:s0", "u:r:web_t:s0", "")
    assert remedy.startswith("allow init_t web_t:process2 nnp_transition;")


@pytest.mark.parametrize("kind", ["setxattr", "fscreate", "invalid context"])
@pytest.mark.parametrize(
    ("invalid", "named"), [('"u:object_r:gone_t:s0"', "u:object_r:gone_t:s0"), ("", "the context")]
)
def test_a_label_that_the_policy_lacks_is_named_without_its_quotes(
    kind: str, invalid: str, named: str
) -> None:
    assert f" {named}," in remedy_of(kind, "", "", invalid)


def test_what_a_context_lacks_is_a_placeholder() -> None:
    assert remedy_of("security_compute_sid", "", "", "u:r").startswith("role ROLE types TYPE;")


def test_surplus_rules_are_those_of_the_source() -> None:
    assert " web_t," in remedy_of("security_compute_av", "u:r:web_t:s0", "u:r:x_t:s0", "")


def test_a_source_that_is_no_context_is_named_as_it_is() -> None:
    assert " web_t," in remedy_of("security_compute_av", "web_t", "", "")


def test_an_unknown_failure_has_general_advice() -> None:
    assert remedy_of("something new", "", "", "") == UNKNOWN


@pytest.mark.parametrize(
    "name", ["selinux_err", "bounded_transition_event", "bounds_err", "setxattr_invalid_context"]
)
def test_every_recorded_failure_has_an_answer(name: str) -> None:
    events = read_events((CORPUS / f"{name}.log").read_bytes().splitlines())
    errors = [error for event in events for error in event.selinux_errors()]
    remedies = [
        remedy_of(error.kind, error.scontext, error.tcontext, error.invalid_context) for error in errors
    ]
    assert remedies and UNKNOWN not in remedies
