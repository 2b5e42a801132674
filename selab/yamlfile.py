"""A YAML file read into a pydantic model, with errors that name the file's line."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from selab.errors import InputError

MAX_BYTES = 256 * 1024
"""Nobody writes a larger file by hand; a larger one is a mistake or an attack."""
MAX_DEPTH = 20

Model = TypeVar("Model", bound=BaseModel)
Path_ = tuple[Hashable, ...]


class _Loader(yaml.SafeLoader):
    """YAML without aliases (no exponential growth), and without 1.1's habit of reading `no` as a boolean: `setenforce: no` is a word."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag not in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", __import__("re").compile("^(?:true|false)$"), list("tf"))
