"""Which keys of a service concern other services."""

from __future__ import annotations

import pytest

from selab.scaffold.compose.relations import related_keys


@pytest.mark.parametrize(
    ("mode", "is_related"), [("service:db", True), ("service:no", False), ("host", False), (["x"], False)]
)
def test_a_namespace_concerns_others_if_it_is_that_of_a_service(mode: object, is_related: bool) -> None:
    assert ("network_mode" in related_keys({"network_mode": mode}, ["db"])) is is_related


def test_order_networks_and_health_concern_others() -> None:
    assert related_keys({}, []) == {"depends_on", "healthcheck", "links", "networks"}
