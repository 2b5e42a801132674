"""Reads YAML files into pydantic models, with errors that name the line."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, ValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, ErrorDetails

from selab.errors import InputError

MAX_BYTES = 256 * 1024
"""A larger file was not written by hand: it is a mistake or an attack."""
MAX_DEPTH = 20
MAX_VALUES = 20_000
"""Values of a document after the expansion of its aliases, which can multiply a value thousands of times."""
MAX_SHOWN = 200
"""Characters of a key that an error shows."""

_FIELD = re.compile(r"(\w+(?:, \w+)*): (.+)", re.DOTALL)
_FIELD_LINE = re.compile(r"\n(?=\w+(?:, \w+)*: )")

Model = TypeVar("Model", bound=BaseModel)


class UserModel(BaseModel):
    """The base of all models for files that users write: unknown keys are errors, and values cannot change.

    The JSON schema describes each key as the last paragraph of the model's docstring does, one key per line.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        reference = handler(core_schema)
        schema = handler.resolve_ref_schema(reference)
        schema["description"] = _summary(cls)
        for model in reversed(cls.__mro__):
            for key, text in _fields(model).items():
                if key in schema.get("properties", {}):
                    schema["properties"][key]["description"] = text[:1].upper() + text[1:]
        return reference


def _summary(model: type) -> str:
    """Return the docstring without the description of its fields."""
    text = inspect.cleandoc(model.__doc__ or "")
    head, _, last = text.rpartition("\n\n")
    return head if _FIELD.match(last) else text


def _fields(model: type) -> dict[str, str]:
    """Return the description of each field, from the last paragraph of the docstring."""
    last = inspect.cleandoc(model.__dict__.get("__doc__") or "").rpartition("\n\n")[2]
    matches = [_FIELD.fullmatch(line) for line in _FIELD_LINE.split(last)]
    return {key: " ".join(match[2].split()) for match in matches if match for key in match[1].split(", ")}


class _Refused(yaml.YAMLError):
    """Valid YAML that selab does not accept.

    what: the rest of a sentence that begins with the file's name.
    mark: the position.
    hint: what to do.
    """

    def __init__(self, what: str, mark: Any, hint: str = "") -> None:
        super().__init__(what)
        self.what, self.mark, self.hint = what, mark, hint


class _Loader(yaml.SafeLoader):
    """Safe YAML in which `yes`, `no`, `on` and dates are text, as in YAML 1.2, as `setenforce: no` requires.

    The loader rejects aliases and deep nesting, which make a small file large, and tags and repeated keys,
    which mislead a reader.
    """

    _depth = 0
    _has_aliases = False
    _tags: frozenset[str] = frozenset()

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) and not self._has_aliases:
            raise _Refused("uses a YAML alias", event.start_mark, "Write the value out.")
        if getattr(event, "tag", None) is not None and event.tag not in self._tags:
            raise _Refused("uses a YAML tag", event.start_mark, "Leave the `!...` out.")
        if self._depth == MAX_DEPTH:
            raise _Refused("is nested too deeply", event.start_mark)
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def fetch_flow_collection_start(self, TokenClass: type[yaml.Token]) -> None:
        # The scanner reads ahead, with a step for each open bracket at each token.
        if self.flow_level == MAX_DEPTH:
            raise _Refused("is nested too deeply", self.get_mark())
        super().fetch_flow_collection_start(TokenClass)

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _Refused("has a key that is not text", key.start_mark)
            if key.value in seen:
                raise _Refused(f"has the key '{key.value[:MAX_SHOWN]}' twice", key.start_mark)
            seen.add(key.value)
        return node


_Loader.yaml_implicit_resolvers = {}
for _name, _pattern in {
    "null": r"~|null|",
    "bool": r"true|false",
    "int": r"-?(?:0|[1-9][0-9]{0,17})",
    "float": r"-?(?:0|[1-9][0-9]{0,17})\.[0-9]{1,18}",
}.items():
    # Only these types: PyYAML reads YAML 1.1, which has dates, and base 60, in which `80:80` is 4880.
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(rf"(?:{_pattern})\Z"), None)


class _AliasLoader(_Loader):
    """Accepts what Compose files use besides: aliases, merge keys (`<<`), `!reset` and `!override`.

    The limits apply to the document after the expansion of its aliases.
    """

    _has_aliases = True
    _tags = frozenset({"!reset", "!override"})

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._sizes: dict[int, tuple[int, int]] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        node = super().compose_node(parent, index)
        if isinstance(event, yaml.AliasEvent):
            if id(node) not in self._sizes:
                raise _Refused("has an alias in the value that it stands for", event.start_mark)
        elif node is not None:
            self._sizes[id(node)] = self._measure(node, event.start_mark)
        return node

    def values_of(self, node: yaml.Node) -> int:
        """Return the number of values of a node that was composed."""
        return self._sizes[id(node)][0]

    def _measure(self, node: yaml.Node, mark: Any) -> tuple[int, int]:
        """Return the number of values and the depth of a new node, whose parts are measured already."""
        parts = (
            [part for pair in node.value for part in pair]
            if isinstance(node, yaml.MappingNode)
            else node.value
            if isinstance(node, yaml.SequenceNode)
            else []
        )
        sizes = [self._sizes[id(part)] for part in parts]
        values, depth = 1 + sum(size for size, _ in sizes), 1 + max((depth for _, depth in sizes), default=0)
        if values > MAX_VALUES:
            raise _Refused(f"has more than {MAX_VALUES} values after the expansion of its aliases", mark)
        if depth > MAX_DEPTH:
            raise _Refused("is nested too deeply", mark)
        return values, depth


class _Reset:
    """The value of `!reset`: an inherited value is removed."""


RESET = _Reset()


@dataclass(frozen=True)
class Override:
    """The value of `!override`: it replaces an inherited value, also a list or an object."""

    value: Any


def without_tags(value: Any) -> Any:
    """Return the value of a Compose file without what is reset, and with what overrides another value."""
    if isinstance(value, Override):
        return without_tags(value.value)
    if isinstance(value, dict):
        return {key: without_tags(item) for key, item in value.items() if item is not RESET}
    if isinstance(value, list):
        return [without_tags(item) for item in value if item is not RESET]
    return value


def _override(loader: yaml.SafeLoader, node: yaml.Node) -> Override:
    if isinstance(node, yaml.MappingNode):
        return Override(loader.construct_mapping(node, deep=True))
    if isinstance(node, yaml.SequenceNode):
        return Override(loader.construct_sequence(node, deep=True))
    tag = loader.resolve(yaml.ScalarNode, node.value, (True, False))  # type: ignore[no-untyped-call]
    return Override(loader.construct_object(yaml.ScalarNode(tag, node.value), deep=True))


_AliasLoader.add_implicit_resolver("tag:yaml.org,2002:merge", re.compile(r"<<\Z"), ["<"])
_AliasLoader.add_constructor("!reset", lambda loader, node: RESET)
_AliasLoader.add_constructor("!override", _override)


def load(path: Path, model: type[Model], *, aliases: bool = False) -> Model:
    """Read `path` into `model`. Raises InputError, with the line, if the file is not valid.

    `aliases` says whether the file may have aliases, merge keys, and the tags of Compose, whose values are
    RESET and Override.
    """
    return parse(_text(path), path, model, aliases=aliases)


def load_documents(path: Path) -> list[Any]:
    """Read the YAML documents of a file, which may have aliases. Raises InputError as `load` does.

    The limits apply to all documents together.
    """
    text = _text(path)
    with _explaining(text, path):
        loader = _AliasLoader(text)
        nodes: list[yaml.Node] = []
        values = 0
        while loader.check_node() and (node := loader.get_node()) is not None:
            # All nodes are kept, because the loader recognises them by their addresses.
            nodes.append(node)
            values += loader.values_of(node)
            if values > MAX_VALUES:
                raise _Refused(f"has more than {MAX_VALUES} values", node.start_mark)
        return [without_tags(loader.construct_document(node)) for node in nodes]


def parse(text: str, path: Path, model: type[Model], *, aliases: bool = False) -> Model:
    """Read `text`, the content of the file `path`, into `model`. Raises InputError as `load` does."""
    return _parsed(text, path, model, aliases=aliases)[0]


def located(text: str, path: Path, model: type[Model]) -> tuple[Model, Callable[..., int]]:
    """Read `text` as `parse` does, and also return what finds the line of a value by its keys.

    The line of a value that does not exist is that of the deepest of its keys that does.
    """
    value, root = _parsed(text, path, model, aliases=False)
    lines = dict(_lines(root, ()))

    def line_of(*keys: str | int) -> int:
        return next(lines[keys[:count]] for count in range(len(keys), -1, -1) if keys[:count] in lines)

    return value, line_of


def _lines(
    node: yaml.Node | None, above: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], int]]:
    """Yield the keys of each value in the document, and the line of the last one."""
    if not above:
        yield (), 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield (*above, key.value), key.start_mark.line + 1
            yield from _lines(value, (*above, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield (*above, number), value.start_mark.line + 1
            yield from _lines(value, (*above, number))


def _parsed(text: str, path: Path, model: type[Model], *, aliases: bool) -> tuple[Model, yaml.Node | None]:
    _refuse_large(len(text), path)
    with _explaining(text, path):
        loader = _AliasLoader(text) if aliases else _Loader(text)
        root = loader.get_single_node()
        data = {} if root is None else loader.construct_document(root)
    try:
        return model.model_validate(data), root
    except ValidationError as error:
        raise InputError(*_explained(error, root, path)) from error


@contextmanager
def _explaining(text: str, path: Path) -> Iterator[None]:
    """Raise InputError with the line if the text, which the block reads, is not YAML that selab accepts."""
    try:
        yield
    except _Refused as error:
        raise InputError(f"{path.name} {error.what}.", f"{path}:{error.mark.line + 1}", error.hint) from error
    except yaml.reader.ReaderError as error:
        detail = f"{path}:{text.count(chr(10), 0, error.position) + 1}: {error.reason}"
        raise InputError(f"{path.name} is not valid YAML.", detail) from error
    except yaml.YAMLError as error:
        raise InputError(f"{path.name} is not valid YAML.", _yaml_detail(error, path)) from error


def _text(path: Path) -> str:
    """Return the file's text. Pipes and devices are not opened, and no more than MAX_BYTES are read."""
    try:
        if not path.is_file():
            raise InputError(
                f"{path.name} is not a file.",
                str(path),
                "`selab schema` prints the keys of such a file; docs/ has examples.",
            )
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path.name} cannot be read.", f"{path}: {error.strerror}") from error
    _refuse_large(len(data), path)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path.name} is not UTF-8 text.", f"{path}:{line}") from error


def _refuse_large(size: int, path: Path) -> None:
    if size > MAX_BYTES:
        raise InputError(
            f"{path.name} is too large to be written by hand.", f"{path} has more than {MAX_BYTES} bytes."
        )


def _yaml_detail(error: yaml.YAMLError, path: Path) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    return f"{path}:{mark.line + 1}: {problem}" if mark else f"{path}: {problem}"


def _explained(error: ValidationError, root: yaml.Node | None, path: Path) -> tuple[str, str, str]:
    """Return what happened, the detail and the hint for the first error that pydantic reports."""
    errors = error.errors(include_url=False, include_input=False)
    first = errors[0]
    where = (
        ".".join(str(part) for part in first["loc"] if not str(part).startswith("function-")) or "the file"
    )
    message = {"extra_forbidden": "there is no such key", "missing": "is required"}.get(
        first["type"], problem_of(first)
    )
    more = f"{len(errors) - 1} more after this one." if len(errors) > 1 else ""
    return (
        f"{path.name} is not valid: {where[:MAX_SHOWN]}: {message}.",
        f"{path}:{_line_of(root, first['loc'])}",
        more,
    )


def first_problem(error: ValidationError) -> tuple[str, str]:
    """Return the place of the first value that pydantic refuses, as in `volumes.0.target`, and why."""
    first = error.errors(include_url=False, include_input=False)[0]
    return ".".join(map(str, first["loc"])), problem_of(first)


def problem_of(error: ErrorDetails) -> str:
    """Return what pydantic reports of a value, without the words that it puts before a validator's own."""
    text = error["msg"].removeprefix("Value error, ")
    return text[:1].lower() + text[1:]


def _line_of(node: yaml.Node | None, location: tuple[Any, ...]) -> int:
    """Return the line of the deepest part of `location` that exists in the file."""
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
