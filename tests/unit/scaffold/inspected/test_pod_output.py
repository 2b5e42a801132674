"""What is not a pod with its containers is refused, and hostile descriptions are read to an end."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selab.errors import InputError
from selab.scaffold.inspected import pod_output
from selab.scaffold.inspected.pod_output import is_pod, members_of, parse_pod

POD: dict[str, Any] = {"Name": "shop", "InfraContainerID": "i", "Containers": []}
WEB = {"Id": "w", "Name": "web", "Config": {}, "HostConfig": {}}


def text(*objects: Any) -> bytes:
    return "".join(map(json.dumps, objects)).encode()


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "0 pods"),
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[" * 200 + b"]" * 200, "nested too deeply"),
        (text(WEB), "0 pods"),
        (text(POD), "none of the pod's containers"),
        (text(POD, POD, WEB), "2 pods"),
        (text(POD, *[WEB] * 17), "more than 16"),
    ],
)
def test_what_is_not_a_pod_with_its_containers_is_refused(data: bytes, problem: str) -> None:
    with pytest.raises(InputError, match="Expected the description of a pod") as error:
        parse_pod(data, "file")
    assert problem in error.value.detail


def test_an_image_is_not_a_container_of_a_pod() -> None:
    with pytest.raises(InputError, match="Expected the description of a container"):
        parse_pod(text(POD, {"RepoTags": []}), "file")


def test_an_endless_description_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pod_output, "MAX_POD_BYTES", 10)
    with pytest.raises(InputError, match="pod"):
        parse_pod(text(POD, WEB), "file")


@pytest.mark.parametrize("data", [text(POD, WEB), text([POD], [WEB]), text(POD) + b"\n \n" + text([WEB])])
def test_values_may_follow_each_other(data: bytes) -> None:
    assert [container.name for container in parse_pod(data, "file").containers] == ["web"]


@pytest.mark.parametrize(
    ("fields", "result"),
    [
        (POD, True),
        ({"InfraConfig": {}}, True),
        (WEB, False),
        ({"status": {"network": {}}}, True),
        ({"status": {"image": {}, "network": {}}}, False),
        ({"status": {}}, False),
    ],
)
def test_a_pod_is_recognised_by_its_keys(fields: dict[str, Any], result: bool) -> None:
    assert is_pod(fields) is result


@pytest.mark.parametrize("fields", [{}, {"Containers": 1}, {"containers": {"a": 1}}])
def test_what_has_no_list_has_no_members(fields: dict[str, Any]) -> None:
    assert members_of(fields) == []


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
KEYS = ("InfraConfig", "SharedNamespaces", "Containers", "Name", "InfraContainerID", "status", "info")


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(KEYS, JSON)), JSON, JSON)
def test_whatever_a_pod_is_it_is_read_or_refused(pod: dict[str, Any], infra: Any, config: Any) -> None:
    for fields in (pod, {**pod, "InfraConfig": {"PortBindings": infra, "HostNetwork": infra}}):
        members_of(fields)
        try:
            parse_pod(text(fields, {**WEB, "Config": config}), "file")
        except InputError:
            continue
