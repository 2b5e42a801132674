"""Writes docs/reference/ from the command line and the models.

It also writes the tables of docs/development/guest-state.md, from selab.guest_state.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from selab import guest_state
from selab.cli.root import cli
from selab.cli.schema import MODELS
from selab.project import IDENTIFIER

REFERENCE = Path(__file__).parents[1] / "docs" / "reference"
GUEST_STATE = Path(__file__).parents[1] / "docs" / "development" / "guest-state.md"
MADE = "<!-- Made by script/reference; a test compares. -->"
TITLES = {"project": "selab.yaml", "scenario": "A scenario: scenarios/NAME.yaml"}
EXIT_CODES = """Exit codes of all commands: 0 PASS, or done; 1 FAIL; 2 wrong usage or input; 3 ERROR; 130 interrupted.
`-h` and `--help` show what stands here."""
_PARAGRAPH_AS_IT_IS = "\b"
_EXAMPLE = re.compile(r"^Examples?: *")


def pages() -> dict[str, str]:
    """The files of docs/reference/ with their text."""
    return {"commands.md": commands(), **{f"{kind}.md": model_page(kind) for kind in MODELS}}


def commands() -> str:
    """Each command with its arguments, options and examples, in the order of the help."""
    context = cli.make_context("selab", [], resilient_parsing=True)
    return "\n\n".join(["# Commands", MADE, EXIT_CODES, *_command(cli, context)]) + "\n"


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    yield f"## `{context.command_path} {' '.join(command.collect_usage_pieces(context))}`"
    yield from _help(inspect.cleandoc(command.help or ""))
    if rows := [*_options(command, context)]:
        yield "\n".join(["| option | what it does |", "|---|---|", *rows])
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from _command(below, click.Context(below, info_name=name, parent=context))


def _help(text: str) -> Iterator[str]:
    for paragraph in text.split("\n\n"):
        lines = paragraph.splitlines()
        if lines[0] == _PARAGRAPH_AS_IT_IS:
            words = [_EXAMPLE.sub("", line).strip() for line in lines[1:]]
            yield "\n".join(f"    {line}" for line in words if line)
        else:
            yield " ".join(line.strip() for line in lines)


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    for option in command.params:
        if not isinstance(option, click.Option) or option.hidden:
            continue
        value = "" if option.is_flag or option.count else f" {option.make_metavar(context)}"
        default = f" By default {option.default}." if option.show_default else ""
        yield f"| `{_cell(', '.join([*option.opts, *option.secondary_opts]) + value)}` | {_cell(option.help or '')}{default} |"


def model_page(kind: str) -> str:
    """What may stand in a file, from the top: a table for each part."""
    schema = MODELS[kind].model_json_schema(by_alias=True)
    parts = [schema, *schema.get("$defs", {}).values()]
    above = f"`selab schema {kind}` prints the same for editors."
    return (
        "\n\n".join(
            [f"# {TITLES.get(kind, kind)}", MADE, above, *(text for part in parts for text in _part(part))]
        )
        + "\n"
    )


def _part(part: dict[str, Any]) -> Iterator[str]:
    yield f"## {part['title']}"
    yield from (" ".join(paragraph.split()) for paragraph in part.get("description", "").split("\n\n"))
    if "properties" not in part:
        yield f"One of {_kind(part)}."
        return
    required = part.get("required", ())
    rows = [
        f"| `{name}` | {_cell(_kind(each))} | {_default(each, name in required)} |"
        for name, each in part["properties"].items()
    ]
    yield "\n".join(["| key | what | by default |", "|---|---|---|", *rows])


def _kind(part: dict[str, Any]) -> str:
    """What may be written there, in words."""
    match part:
        case {"$ref": reference}:
            name = reference.rpartition("/")[2]
            return f"[{name}](#{name.lower()})"
        case {"anyOf": several}:
            return ", or ".join(_kind(one) for one in several if one.get("type") != "null")
        case {"enum": values}:
            return " or ".join(f"`{value}`" for value in values)
        case {"const": value}:
            return f"`{value}`"
        case {"type": "array"}:
            return (
                f"a list of {_kind(part['items']).replace('a name', 'names')}"
                if "items" in part
                else "a list"
            )
        case {"type": "object", "additionalProperties": dict(of)}:
            return f"names, each with {_kind(of)}"
        case {"type": "object", "patternProperties": dict(of)}:
            return f"names, each with {', or '.join(map(_kind, of.values()))}"
    if part.get("pattern") == f"^{IDENTIFIER.pattern}$":
        return "a name"
    words = {"string": "text", "integer": "a whole number", "number": "a number", "boolean": "true or false"}
    return words[part["type"]] + _bounds(part)


def _bounds(part: dict[str, Any]) -> str:
    least, most = part.get("minimum", part.get("exclusiveMinimum")), part.get("maximum")
    pattern = f", `{part['pattern']}`" if "pattern" in part else ""
    if least is None:
        return pattern
    return f", over {least}, up to {most}" if "exclusiveMinimum" in part else f", {least} to {most}"


def _default(part: dict[str, Any], required: bool) -> str:
    if required:
        return "must be given"
    value = part.get("default")
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value in (None, "", [], {}) or isinstance(value, dict) else f"`{value}`"


def _cell(text: str) -> str:
    """Text for a cell of a table: a bar would end it, in code as well."""
    return " ".join(text.split()).replace("|", r"\|")


def with_tables(page: str) -> str:
    """Return the text of the page GUEST_STATE with the tables that selab.guest_state defines."""
    for name, rows in {"files": _state_files(), "exit codes": _exit_codes()}.items():
        begin, end = f"<!-- table: {name} -->\n", "<!-- end -->"
        before, _, rest = page.partition(begin)
        page = before + begin + "\n".join(rows) + "\n" + end + rest.partition(end)[2]
    return page


def _state_files() -> Iterator[str]:
    yield "| file | content | written by | read by | removed by | how long |"
    yield "|---|---|---|---|---|---|"
    for file in guest_state.STATE_FILES:
        users = (", ".join(names) for names in (file.writers, file.readers, file.removers))
        yield f"| {' | '.join(map(_cell, (f'`{file.name}`', file.content, *users, file.lifetime)))} |"


def _exit_codes() -> Iterator[str]:
    yield "| script | code | meaning |"
    yield "|---|---|---|"
    for name in sorted({name for exit_code in guest_state.EXIT_CODES for name in exit_code.scripts}):
        for exit_code in sorted(guest_state.EXIT_CODES, key=lambda exit_code: exit_code.code):
            if name in exit_code.scripts:
                yield f"| {name} | {exit_code.code} | {_cell(exit_code.meaning)} |"


def write() -> None:
    for name, text in pages().items():
        (REFERENCE / name).write_text(text)
    GUEST_STATE.write_text(with_tables(GUEST_STATE.read_text()))


if __name__ == "__main__":
    write()
