"""A finished run as plain data."""

from __future__ import annotations

import json
from typing import Any

import pytest

from selab.auditlog.classification import Classification
from selab.auditlog.denials import DenialKey
from selab.run.document import RunDocument, document_of, stored_document
from tests.unit.documents import CLASSIFIED, DENIAL, EXPECTED, MISSING, TOLERATED, document
from tests.unit.test_history import finished


def test_a_document_is_read_as_it_was_written() -> None:
    original = document()
    assert RunDocument.model_validate_json(original.as_json()) == original


def test_the_keys_of_a_document_are_each_denied_permission() -> None:
    keys = document(denials=[{**DENIAL, "permissions": ["name_bind", "name_connect"]}]).keys
    assert keys == {
        DenialKey("web_t", "http_port_t", "tcp_socket", permission)
        for permission in ("name_bind", "name_connect")
    }


def test_hidden_denials_are_not_among_the_keys() -> None:
    assert document(denials=[], hidden=[DENIAL]).keys == frozenset()


def test_the_document_of_a_run_has_its_verdict_and_its_evidence() -> None:
    result = document_of(finished(1))
    assert (result.run, result.verdict.value, result.reasons) == ("run-0001", "FAIL", ("why",))
    assert (result.label.requested, result.label.type) == ("system_u:system_r:web_t:s0:c1,c2", "web_t")
    assert [(denial.source, denial.target) for denial in result.denials] == [("web_t", "etc_t")]
    assert [(step.name, step.ok) for step in result.steps] == [("page", True)]


def test_several_labels_are_all_in_the_document() -> None:
    run = finished(1)
    run.outcome.labels = frozenset({"u:r:b_t:s0", "u:r:a_t:s0"})
    assert document_of(run).label.actual == "u:r:a_t:s0 u:r:b_t:s0"


def test_json_has_the_words_of_the_format() -> None:
    data = json.loads(document().as_json())
    assert data["schema"] == 1
    assert data["denials"][0]["class"] == "tcp_socket"


def test_json_has_the_ruling_on_each_denial_and_the_missing_ones() -> None:
    data = json.loads(document(**CLASSIFIED).as_json())
    keys = ("classification", "entry", "reason")
    assert [tuple(row[key] for key in keys) for row in data["denials"]] == [
        ("unexpected", "", ""),
        ("tolerated", TOLERATED["entry"], TOLERATED["reason"]),
        ("expected", EXPECTED["entry"], EXPECTED["reason"]),
    ]
    assert data["missing"] == [MISSING]


def test_the_runtimes_denials_are_not_classified() -> None:
    data = json.loads(document(runtime=[DENIAL], machine=[DENIAL]).as_json())
    assert "classification" not in data["runtime"][0] | data["machine"][0]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, "1 denial"),
        ({"denials": []}, "0 denials"),
        ({"denials": [TOLERATED]}, "1 denial (1 tolerated)"),
        (CLASSIFIED, "3 denials (1 unexpected, 1 tolerated, 1 expected)"),
    ],
)
def test_denials_are_counted_by_classification(more: dict[str, Any], words: str) -> None:
    assert document(**more).denials_in_words == words


def test_a_denial_with_two_rulings_counts_once_as_the_more_serious() -> None:
    elsewhere = {
        **TOLERATED,
        "classification": "unexpected",
        "entry": "",
        "reason": "",
        "path": "/proc/kcore",
    }
    run = document(denials=[elsewhere, TOLERATED])
    assert run.denials_in_words == "1 denial"
    assert [ruling.classification for ruling in run.rulings.values()] == [Classification.UNEXPECTED]


def old(*denials: dict[str, Any]) -> str:
    """The text of a document from before denials were classified."""
    data = json.loads(document(denials=[]).as_json())
    del data["missing"]
    return json.dumps(data | {"denials": list(denials), "hidden": []})


ENTRIES = [
    {"target": "proc_t", "permissions": ["read"], "reason": "harmless"},
    {"target": "shadow_t", "as": "expect", "reason": "it is secret"},
]


def test_an_old_document_is_classified_by_the_scenario_of_its_run() -> None:
    row = {**DENIAL, "target": "proc_t", "permissions": ["read", "write"]}
    run = stored_document(old(row), {"expect": {"denials": ENTRIES}})
    assert [(each.permissions, each.ruling.in_words) for each in run.denials] == [
        (("write",), ""),
        (("read",), "tolerated by * -> proc_t:* { read }: harmless"),
    ]
    assert [each.entry for each in run.missing] == ["* -> shadow_t:* { * }"]


@pytest.mark.parametrize("scenario", [{}, {"expect": {"denials": "some"}}], ids=["silent", "unreadable"])
def test_the_denials_of_an_old_document_without_expectations_are_unexpected(scenario: dict[str, Any]) -> None:
    run = stored_document(old(DENIAL), scenario)
    assert [row.classification for row in run.denials] == [Classification.UNEXPECTED]


def test_a_document_keeps_its_classification_when_the_scenario_says_otherwise() -> None:
    text = document(**CLASSIFIED).as_json()
    assert stored_document(text, {"expect": {"denials": "any"}}) == RunDocument.model_validate_json(text)
