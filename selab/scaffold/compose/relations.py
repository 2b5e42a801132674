"""Read what the services of a Compose file say about each other: their order, networks and namespaces."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from selab.scaffold.compose.file import Service
from selab.scaffold.compose.healthcheck import add_health
from selab.scaffold.container_builder import ContainerBuilder
from selab.scaffold.image_config import quoted
from selab.scaffold.import_keys import keys_of, name_unsupported_keys
from selab.scaffold.scenario_builder import ScenarioBuilder

_CONDITIONS = {
    "service_started": "started",
    "service_healthy": "healthy",
    "service_completed_successfully": "exited",
}
_NAMESPACES = {"network_mode": "network", "pid": "pid", "ipc": "ipc"}
_OF_SERVICE = "service:"
_PART = "related_service"


def related_keys(settings: Mapping[str, Any], services: Collection[str]) -> set[str]:
    """Return the keys of a service that concern other services of the scenario, which are `services`."""
    return {*keys_of(_PART).used, *(key for key, _ in _joins(settings, services))}


def _joins(settings: Mapping[str, Any], services: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield each key that joins a namespace of another service of the scenario, and that service."""
    for key in _NAMESPACES:
        mode = settings.get(key)
        if isinstance(mode, str) and mode.startswith(_OF_SERVICE):
            other = mode.removeprefix(_OF_SERVICE)
            if other in services:
                yield key, other


def relate(scenario: ScenarioBuilder, services: Sequence[Service]) -> None:
    """Take over what the services say about each other, after each has become a container."""
    relations = [_Relations(scenario, service, services) for service in services]
    never_healthy = {each.name for each in relations if not each.take_health()}
    for each in relations:
        each.take_namespaces()
        each.take_order(never_healthy)
        each.name_networks()
        each.name_second_name()
    scenario.mark_init()
    scenario.share_volumes()


class _Relations:
    """Converts what a service says about the others.

    name: its container's name.
    """

    def __init__(self, scenario: ScenarioBuilder, service: Service, services: Sequence[Service]) -> None:
        self.name = scenario.names[service.name]
        self._scenario, self._settings = scenario, service.settings
        self._others = [other for other in services if other is not service]
        if self.name != service.name:
            self._builder.leave(f"the name {quoted(service.name)}", f"in the scenario it is {self.name}")
        related = {key: value for key, value in self._settings.items() if key in keys_of(_PART).used}
        name_unsupported_keys(self._builder, _PART, related)

    @property
    def _builder(self) -> ContainerBuilder:
        return self._scenario.containers[self.name]

    def take_health(self) -> bool:
        """Take over the health check. Return False if the container cannot become healthy without it."""
        check = self._settings.get("healthcheck")
        return not isinstance(check, dict) or add_health(self._builder, check)

    def take_namespaces(self) -> None:
        for key, other in _joins(self._settings, self._scenario.names):
            with self._builder.trying(f"{key} {quoted(self._settings[key])}"):
                self._scenario.relate(self.name, _NAMESPACES[key], f"container:{self._scenario.names[other]}")

    def take_order(self, never_healthy: Collection[str]) -> None:
        for name, condition in {**dict(self._linked()), **dict(self._dependencies())}.items():
            other = self._scenario.names.get(name)
            with self._builder.trying(f"depends_on.{quoted(name)[1:-1]}"):
                if other is None:
                    raise ValueError("it is not a service of the scenario")
                if condition not in _CONDITIONS:
                    raise ValueError(f"the condition {quoted(condition)} is unknown")
                state = _CONDITIONS[condition]
                if state == "healthy" and other in never_healthy:
                    self._builder.leave(
                        f"depends_on.{quoted(name)[1:-1]}.condition",
                        f"it waits only for the start, because {other} has no health check in the scenario",
                    )
                    state = "started"
                self._scenario.wait(self.name, other, state)

    def _dependencies(self) -> Iterator[tuple[str, str]]:
        value = self._settings.get("depends_on")
        if isinstance(value, list):
            yield from ((str(name), "service_started") for name in value)
        elif isinstance(value, dict):
            for name, fields in value.items():
                settings = self._object(f"depends_on.{quoted(name)[1:-1]}", fields)
                name_unsupported_keys(self._builder, "related_dependency", settings, f"depends_on.{name}.")
                yield str(name), str(settings.get("condition") or "service_started")

    def _object(self, path: str, value: Any) -> Mapping[str, Any]:
        """Return an object, which may be empty; list another value."""
        if value is not None and not isinstance(value, dict):
            self._builder.leave(path, "it must be an object")
        return value if isinstance(value, dict) else {}

    def _linked(self) -> Iterator[tuple[str, str]]:
        """Yield the services of `links`, which start first; a second name is named."""
        value = self._settings.get("links")
        for link in value if isinstance(value, list) else ():
            name, _, alias = str(link).partition(":")
            if alias not in ("", name):
                self._builder.leave(f"links {quoted(link)}", f"it reaches it only as {quoted(name)}")
            yield name, "service_started"

    def name_networks(self) -> None:
        """List networks that keep services apart, which the one network of the scenario does not."""
        networks = _networks(self._settings)
        value = self._settings.get("networks")
        for network, fields in value.items() if isinstance(value, dict) else ():
            path = f"networks.{quoted(network)[1:-1]}"
            settings = self._object(path, fields)
            name_unsupported_keys(self._builder, "related_network", settings, f"{path}.")
            aliases = settings.get("aliases")
            names = (
                [str(alias) for alias in aliases if alias != self.name] if isinstance(aliases, list) else []
            )
            if names:
                self._builder.leave(f"{path}.aliases", f"not {quoted(names)}: others reach it as {self.name}")
        reached = [
            self._scenario.names[other.name]
            for other in self._others
            if networks and (theirs := _networks(other.settings)) and not networks & theirs
        ]
        if reached:
            self._builder.leave(
                f"networks {quoted(sorted(networks))}",
                f"the scenario has one network, in which it also reaches {', '.join(reached)}",
            )

    def name_second_name(self) -> None:
        """List the `container_name` if another service uses it, because only the service's name resolves."""
        second = self._settings.get("container_name")
        if not isinstance(second, str) or not second or second == self.name:
            return
        used = re.compile(rf"(?<![\w.-]){re.escape(second[:200])}(?![\w-])")
        users = [other.name for other in self._others if used.search(_text(other.settings))]
        if users:
            self._builder.leave(
                f"container_name {quoted(second)}",
                f"others reach it only as {self.name}, and {', '.join(users)[:100]} uses that name",
            )


def _text(settings: Mapping[str, Any]) -> str:
    return json.dumps(settings, default=str)[:20_000]


def _networks(settings: Mapping[str, Any]) -> set[str]:
    """Return the networks of a service; it has none if it joins another namespace."""
    if settings.get("network_mode") is not None:
        return set()
    value = settings.get("networks")
    return {str(name) for name in value} if isinstance(value, dict | list) and value else {"default"}
