"""Read the health check of a service of a Compose file."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from selab.scaffold.compose.service import word
from selab.scaffold.container_builder import ContainerBuilder
from selab.scaffold.import_keys import name_unsupported_keys
from selab.scaffold.secret import refuse_secrets_within
from selab.scenario.container import HEALTH_TIMEOUT

_PART = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|us|ns|s|m|h)", re.ASCII)
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_LONGEST = 3600.0
_DEFAULTS = {"start_period": 0.0, "interval": 30.0, "timeout": 30.0}
"""Seconds of each time by default, as Docker has them."""
_RETRIES = 3


def add_health(builder: ContainerBuilder, settings: Mapping[str, Any]) -> bool:
    """Take over a health check, and return whether the container can become healthy in the scenario.

    The times become one limit: until then, the engine would not call the container unhealthy.
    """
    name_unsupported_keys(builder, "related_healthcheck", settings, "healthcheck.")
    if str(settings.get("disable")).lower() == "true" or settings.get("test") in (["NONE"], "NONE"):
        builder.leave("healthcheck", "a scenario cannot switch the image's health check off")
        return False
    health: dict[str, Any] = {}
    is_of_image = settings.get("test") in (None, [])
    if not is_of_image:
        with builder.trying("healthcheck.test"):
            health["command"] = _command(settings["test"])
        if not health:
            return False
    with builder.trying("healthcheck times"):
        limit = _limit(settings)
        if limit > HEALTH_TIMEOUT:
            health["timeout"] = min(limit, _LONGEST)
    if health:
        with builder.trying("healthcheck"):
            builder.set("health", health)
    return is_of_image or "health" in builder.data


def _command(test: Any) -> list[str]:
    """Return the command of `test`. Raises ValueError if it is invalid, or contains a secret."""
    words = [word(item) for item in test] if isinstance(test, list) else ["CMD-SHELL", word(test)]
    kind, *rest = words
    if kind == "CMD-SHELL":
        rest = ["/bin/sh", "-c", " ".join(rest)]
    elif kind != "CMD":
        raise ValueError("it begins with neither CMD nor CMD-SHELL")
    if not rest:
        raise ValueError("it has no command")
    refuse_secrets_within(rest)
    return rest


def _limit(settings: Mapping[str, Any]) -> float:
    times = {key: seconds(settings[key]) for key in _DEFAULTS if settings.get(key) is not None}
    every = {**_DEFAULTS, **times}
    try:
        retries = int(word(settings["retries"])) if settings.get("retries") is not None else _RETRIES
    except OverflowError as error:
        raise ValueError("it is not a number") from error
    has_times = bool(times) or settings.get("retries") is not None
    limit = every["start_period"] + min(max(retries, 1), 10_000) * (every["interval"] + every["timeout"])
    return math.ceil(limit) if has_times else 0.0


def seconds(value: Any) -> float:
    """Return a duration such as `1m30s` in seconds. Raises ValueError for other text."""
    text = word(value)
    parts = [match for match in _PART.finditer(text)]
    if not parts or "".join(match[0] for match in parts) != text:
        raise ValueError(f"{text[:40]} is not a duration")
    return sum(float(match[1]) * _SECONDS[match[2]] for match in parts)
