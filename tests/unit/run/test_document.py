"""A finished run as plain data."""

from __future__ import annotations

import json
from typing import Any

import pytest

from selab.auditlog.classification import Classification
from selab.auditlog.denials import DenialKey
from selab.run.document import DenialEntry, RunDocument
from tests.unit.documents import CLASSIFIED, DENIAL, EXPECTED, MISSING, TOLERATED, document


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


@pytest.mark.parametrize(
    ("permission", "row", "commands"),
    [
        ("ioctl", {"commands": ["0x8910", "0x8927"]}, (0x8910, 0x8927)),
        ("ioctl", {"detail": "ioctlcmd=0x8910"}, (0x8910,)),
        ("ioctl", {"detail": ""}, (None,)),
        ("read", {"commands": ["0x8910"]}, (None,)),
    ],
)
def test_a_denied_ioctl_has_the_commands_that_the_records_name(
    permission: str, row: dict[str, Any], commands: tuple[int | None, ...]
) -> None:
    entry = DenialEntry.model_validate({**DENIAL, "permissions": ["ioctl", "read"], **row})
    assert entry.commands_of(permission) == commands


def test_denials_are_found_by_their_classification() -> None:
    run = document(**CLASSIFIED)
    targets = {each.value: [row.target for row in run.classified_as(each)] for each in Classification}
    assert targets == {"unexpected": ["http_port_t"], "tolerated": ["proc_t"], "expected": ["shadow_t"]}
    assert [row.target for row in run.unexpected] == ["http_port_t"]


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
