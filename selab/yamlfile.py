"""A YAML file read into a pydantic model, with errors that name the file's line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from selab.errors import InputError

MAX_BYTES = 256 * 1024
"""Nobody writes a larger file by hand; a larger one is a mistake or an attack."""
MAX_DEPTH = 20

Model = TypeVar("Model", bound=BaseModel)


class _Loader(yaml.SafeLoader):
    """Safe YAML in which `yes`, `no`, `on` and dates are words, as in YAML 1.2: `setenforce: no` means what it says."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))


def load(path: Path, model: type[Model]) -> Model:
    """Read `path` into `model`. Raises InputError, with the line, for whatever is wrong with it."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path.name} cannot be read.", f"{path}: {error.strerror}") from error
    if len(text) > MAX_BYTES:
        raise InputError(f"{path.name} is too large to be written by hand.", f"{path} has {len(text)} bytes; the limit is {MAX_BYTES}.")
    try:
        loader = _Loader(text.decode("utf-8"))
        root = loader.get_single_node()
        if root is not None:
            _refuse_traps(root, path)
        data = {} if root is None else loader.construct_document(root)
    except UnicodeDecodeError as error:
        raise InputError(f"{path.name} is not UTF-8 text.", f"{path}: byte {error.start}") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path.name} is not valid YAML.", _yaml_detail(error, path)) from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path.name} is not valid YAML.", f"{path}: {error}") from error
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise InputError(*_explained(error, root, path)) from error


def _refuse_traps(node: yaml.Node, path: Path) -> None:
    """Refuse what makes a small file large or a reader blind: aliases, deep nesting and repeated keys."""
    seen: set[int] = set()
    stack = [(node, 1)]
    while stack:
        current, depth = stack.pop()
        where = f"{path}:{current.start_mark.line + 1}"
        if id(current) in seen:
            raise InputError(f"{path.name} uses a YAML alias.", where, "Write the value out.")
        seen.add(id(current))
        if depth > MAX_DEPTH:
            raise InputError(f"{path.name} is nested too deeply.", where)
        if isinstance(current, yaml.MappingNode):
            keys: set[str] = set()
            for key, value in current.value:
                if key.value in keys:
                    raise InputError(f"{path.name} has the key '{key.value}' twice.", f"{path}:{key.start_mark.line + 1}")
                keys.add(str(key.value))
                stack.append((value, depth + 1))
        elif isinstance(current, yaml.SequenceNode):
            stack += [(value, depth + 1) for value in current.value]


def _yaml_detail(error: yaml.YAMLError, path: Path) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    return f"{path}:{mark.line + 1}: {problem}" if mark else f"{path}: {problem}"


def _explained(error: ValidationError, root: yaml.Node | None, path: Path) -> tuple[str, str, str]:
    """What, detail and hint for the first thing that pydantic found wrong."""
    errors = error.errors(include_url=False, include_input=False)
    first = errors[0]
    where = ".".join(str(part) for part in first["loc"] if not str(part).startswith("function-")) or "the file"
    message = {"extra_forbidden": "there is no such key", "missing": "is required"}.get(first["type"], first["msg"].lower())
    more = f"{len(errors) - 1} more after this one." if len(errors) > 1 else ""
    return f"{path.name} is not valid: {where}: {message}.", f"{path}:{_line_of(root, first['loc'])}", more


def _line_of(node: yaml.Node | None, location: tuple[Any, ...]) -> int:
    """The line of the deepest part of `location` that the file has."""
    line = 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            pair = next(((key, value) for key, value in node.value if key.value == str(part)), None)
            if pair is None:
                continue
            line, node = pair[0].start_mark.line + 1, pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
    return line
