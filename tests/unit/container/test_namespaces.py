"""The network and the other namespaces of containers, as words of the runtime."""

from __future__ import annotations

from typing import Any

from selab.container.namespaces import namespace_words
from tests.unit.workloads import scenario, workload


def words(**containers: dict[str, Any]) -> dict[str, list[str]]:
    """The words of each container of a scenario `shop`."""
    of = workload(
        scenario(containers={name: {"image": "x", **fields} for name, fields in containers.items()}),
        name="shop",
    )
    return {each.title: namespace_words(each, of) for each in of.containers}


def test_several_containers_have_a_network_in_which_their_names_resolve() -> None:
    assert words(db={}, web={"ports": [{"guest": 8080, "container": 80}]}) == {
        "db": ["--hostname", "db", "--network", "selab-shop", "--network-alias", "db"],
        "web": [
            *("--hostname", "web", "--network", "selab-shop", "--network-alias", "web"),
            *("--publish", "127.0.0.1:8080:80"),
        ],
    }


def test_the_first_container_of_a_pod_has_the_network_and_publishes_all_ports() -> None:
    pod = words(web={"network": "pod"}, log={"network": "pod", "ports": [{"guest": 8080, "container": 80}]})
    assert pod["web"][-6:] == [
        *("--network-alias", "web", "--network-alias", "log", "--publish", "127.0.0.1:8080:80")
    ]
    assert pod["log"] == ["--network", "container:selab-shop-web"]


def test_a_container_joins_the_network_of_another() -> None:
    assert words(db={}, web={"network": "container:db"})["web"] == ["--network", "container:selab-shop-db"]


def test_the_guests_network_and_none_are_named() -> None:
    both = words(db={"network": "none"}, web={"network": "host"})
    assert (both["db"][-1], both["web"][-1]) == ("none", "host")


def test_an_ipc_namespace_that_is_joined_is_shareable() -> None:
    shared = words(db={}, web={"ipc": "container:db"}, log={})
    assert shared["db"][-2:] == ["--ipc", "shareable"]
    assert shared["web"][-2:] == ["--ipc", "container:selab-shop-db"]
    assert "--ipc" not in shared["log"]


def test_a_pod_shares_its_namespaces_with_the_first_container() -> None:
    pod = words(web={"ipc": "pod", "pid": "pod"}, log={"ipc": "pod", "pid": "pod"})
    assert pod["web"][-2:] == ["--ipc", "shareable"] and "--pid" not in pod["web"]
    assert pod["log"][-4:] == ["--pid", "container:selab-shop-web", "--ipc", "container:selab-shop-web"]


def test_an_init_container_has_namespaces_of_its_own() -> None:
    pod = words(setup={"init": True, "network": "pod"}, web={"network": "pod"}, log={"network": "pod"})
    assert "container:selab-shop-web" in pod["log"]
    assert pod["setup"] == ["--hostname", "setup", "--network", "selab-shop", "--network-alias", "setup"]


def test_a_namespace_of_the_guest_is_named() -> None:
    assert words(db={"pid": "host"}, web={})["db"][-2:] == ["--pid", "host"]
