"""Name the settings of a container or of a Compose service that a scenario cannot represent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from selab.host.tables import table
from selab.scaffold.image_config import quoted
from selab.scaffold.remarks import Remarks
from selab.scaffold.secret import has_secret, is_secret_value

_HIDDEN = frozenset({"Healthcheck", "StartupHealthCheck", "Secrets", "Sysctls"})
"""Keys whose values are not shown, because they may contain secrets."""
_BY_NAME = "*"
"""Begins the name of a part if the value is an object of such parts by name, or a list of names."""


_SHAPES: Mapping[str, Callable[[Any], bool]] = {
    "an object": lambda value: isinstance(value, dict),
    "a list": lambda value: isinstance(value, list),
    "a list or an object": lambda value: isinstance(value, list | dict),
    "a list of objects": lambda value: (
        isinstance(value, list) and all(isinstance(item, dict) for item in value)
    ),
    "true or false": lambda value: isinstance(value, bool),
}


@dataclass(frozen=True)
class Keys:
    """The keys of one object of a format.

    used: keys that selab converts.
    named: what a scenario cannot represent, by the key.
    usual: values that a container has by default, by the key.
    irrelevant: reasons why a key means nothing for a scenario, by the key.
    parts: parts of import_keys.toml that describe a key's value, by the key.
    shapes: what a value must be, such as `a list`, by the key.
    """

    used: frozenset[str]
    named: Mapping[str, str]
    usual: Mapping[str, list[Any]]
    irrelevant: Mapping[str, str]
    parts: Mapping[str, str]
    shapes: Mapping[str, str]


@dataclass(frozen=True)
class _Setting:
    """A setting that a scenario cannot have.

    path: its key after the keys of the objects that contain it, such as `deploy.resources`.
    words: what it is; empty if selab does not know the key.
    value: its value.
    shape: what the value must be but is not; empty if its shape is valid.
    """

    path: str
    words: str
    value: Any
    shape: str = ""


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
        fields.get("parts", {}),
        {key: shape for shape, keys in fields.get("shapes", {}).items() for key in keys},
    )


def name_unsupported(builder: Remarks, part: str, settings: Mapping[str, Any]) -> None:
    """List every setting that is not the default and that a scenario cannot have, also an unknown one."""
    for setting in _unsupported(part, settings, lambda key, value: not value):
        key, value = setting.path.rpartition(".")[2], setting.value
        if setting.shape:
            builder.leave(_shown(setting.path), f"it must be {setting.shape}")
        elif not setting.words:
            builder.leave(f"the key {quoted(setting.path)}", "selab does not know it")
        elif value is True or key in _HIDDEN or is_secret_value(str(value)) or has_secret([str(value)]):
            builder.leave(setting.words, "a scenario cannot set this")
        else:
            builder.leave(setting.words, f"{quoted(value)}: a scenario cannot set this")


def name_unsupported_keys(builder: Remarks, part: str, settings: Mapping[str, Any], path: str = "") -> None:
    """List the keys of a Compose file that a scenario cannot have, without their values; `x-` is free.

    `path` is the path of `settings` in the file, with a dot at its end.
    """
    for setting in _unsupported(part, settings, _is_unset_or_free, path):
        if setting.shape:
            builder.leave(_shown(setting.path), f"it must be {setting.shape}")
        elif setting.words:
            builder.leave(_shown(setting.path), f"a scenario cannot set this ({setting.words})")
        else:
            builder.leave(f"the key {quoted(setting.path)}", "selab does not know it")


def _is_unset_or_free(key: str, value: Any) -> bool:
    return value in (None, False) or key.startswith("x-")


def _shown(path: str) -> str:
    return quoted(path)[1:-1]


def _unsupported(
    part: str, settings: Mapping[str, Any], is_unset: Callable[[str, Any], bool], path: str = ""
) -> Iterator[_Setting]:
    keys = keys_of(part)
    for key, value in ((str(key), value) for key, value in settings.items()):
        shape = keys.shapes.get(key)
        if shape and value is not None and not _SHAPES[shape](value):
            yield _Setting(f"{path}{key}", "", value, shape)
            continue
        usual = keys.usual.get(key, ())
        is_off = value is False and any(item is True for item in usual)
        if (is_unset(key, value) and not is_off) or key in keys.irrelevant or value in usual:
            continue
        nested = list(_below(keys, key, value, is_unset, f"{path}{key}")) if key in keys.parts else []
        yield from nested
        if nested or key in keys.used:
            continue
        is_object = key in keys.parts and isinstance(value, dict | list)
        if not is_object or (key in keys.named and not keys.parts[key].startswith(_BY_NAME)):
            yield _Setting(f"{path}{key}", keys.named.get(key, ""), value)


def _below(
    keys: Keys, key: str, value: Any, is_unset: Callable[[str, Any], bool], path: str
) -> Iterator[_Setting]:
    """Yield the settings in the value of a key; an object by name is named as a whole if none of its are."""
    part = keys.parts[key]
    if not part.startswith(_BY_NAME):
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict):
                yield from _unsupported(part, item, is_unset, f"{path}.")
        return
    names = value if isinstance(value, dict) else map(str, value) if isinstance(value, list) else ()
    for name in names:
        fields = value[name] if isinstance(value, dict) else None
        settings = fields if isinstance(fields, dict) else {}
        nested = list(_unsupported(part[1:], settings, is_unset, f"{path}.{name}."))
        if nested:
            yield from nested
        elif key in keys.named and name not in keys.usual.get(key, ()):
            yield _Setting(f"{path}.{name}", keys.named[key], fields)
