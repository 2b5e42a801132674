"""The tables of variants that selab has: TOML files beside the modules that use them, each read once.

A module that is below a table's own in the import order may read names and facts out of the table here,
without importing the module.
"""

from __future__ import annotations

import functools
import importlib.resources
import tomllib
from typing import Any

PROFILES = "vm/profiles.toml"
"""The guests that selab knows, by the names that `box` takes."""
PROVISION = "vm/provision.toml"
"""What a guest needs, by package family."""
RUNTIMES = "container/runtimes.toml"
"""The container runtimes, by the names that a scenario's `runtime` takes."""


@functools.cache
def table(path: str) -> dict[str, Any]:
    """The content of the file `path`, which is relative to the package `selab`, in the file's order."""
    return tomllib.loads(importlib.resources.files("selab").joinpath(path).read_text(encoding="utf-8"))
