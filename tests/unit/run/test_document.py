"""A finished run as plain data."""

from __future__ import annotations

import json

from selab.auditlog.denials import DenialKey
from selab.run.document import RunDocument, document_of
from tests.unit.documents import DENIAL, document
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
