"""Name the settings of a container or of a Compose service that a scenario cannot represent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from selab.host.tables import table
from selab.scaffold.image_config import quoted
from selab.scaffold.scenario_builder import ScenarioBuilder
from selab.scaffold.secret import has_secret, is_secret_value

_HIDDEN = frozenset({"Healthcheck", "StartupHealthCheck", "Secrets", "Sysctls"})
"""Keys whose values are not shown, because they may contain secrets."""


@dataclass(frozen=True)
class Keys:
    """The keys of one object of a format.

    used: keys that selab converts.
    named: what a scenario cannot represent, by the key.
    usual: values that a container has by default, by the key.
    irrelevant: reasons why a key means nothing for a scenario, by the key.
    """

    used: frozenset[str]
    named: Mapping[str, str]
    usual: Mapping[str, list[Any]]
    irrelevant: Mapping[str, str]


@cache
def keys_of(part: str) -> Keys:
    """Return the keys of a part of import_keys.toml, such as `host_config`."""
    fields = table("scaffold/import_keys.toml")[part]
    reasons = fields.get("irrelevant", {})
    return Keys(
        frozenset(fields.get("used", ())),
        fields.get("named", {}),
        fields.get("usual", {}),
        {key: reason for reason, keys in reasons.items() for key in keys},
    )


def name_unsupported(builder: ScenarioBuilder, part: str, settings: Mapping[str, Any]) -> None:
    """List every setting that is not the default and that a scenario cannot have, also an unknown one."""
    keys = keys_of(part)
    for key, value in settings.items():
        if not value or key in keys.used or key in keys.irrelevant or value in keys.usual.get(key, ()):
            continue
        if key not in keys.named:
            builder.leave(f"the key {quoted(key)}", "selab does not know it")
        elif value is True or key in _HIDDEN or is_secret_value(str(value)) or has_secret([str(value)]):
            builder.leave(keys.named[key], "a scenario cannot set this")
        else:
            builder.leave(keys.named[key], f"{quoted(value)}: a scenario cannot set this")


def name_unsupported_keys(builder: ScenarioBuilder, part: str, settings: Mapping[str, Any]) -> None:
    """List the keys of a Compose file that a scenario cannot have, without their values; `x-` is free."""
    keys = keys_of(part)
    for key, value in settings.items():
        if value in (None, False) or key in keys.used or key in keys.irrelevant or key.startswith("x-"):
            continue
        if value not in keys.usual.get(key, ()):
            words = keys.named.get(key)
            if words:
                builder.leave(key, f"a scenario cannot set this ({words})")
            else:
                builder.leave(f"the key {quoted(key)}", "selab does not know it")
