"""Finds phrases that selab does not use, in pages, docstrings, comments and messages.

docs/development/phrases.txt lists the phrases, and docs/development/language.md explains the rules.
`[tool.check-language]` in pyproject.toml says which paths are checked.
"""

from __future__ import annotations

import io
import re
import sys
import tokenize
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PHRASES = ROOT / "docs" / "development" / "phrases.txt"
DOCSTRING = "docstring: "
"""Marks a phrase that is wrong only at the beginning of a docstring."""
SUFFIXES = {"", ".fc", ".html", ".j2", ".js", ".md", ".py", ".sh", ".te", ".toml", ".yaml", ".yml"}
"""Files that hold text; a script may have no suffix."""
_GAP = r"[\s#\"'>]+"
"""Matches between two words: blanks, a comment sign on a new line, or the quotes of a split string."""
_OUTPUT = re.compile(r"^    \$ .*\n(?:(?:    .*)?\n)*", re.MULTILINE)
"""Matches a block of a page that shows a command with its output."""
_QUOTES = re.compile(r"^\w*(?:\"{3}|'{3}|[\"'])")
_STRINGS = {tokenize.STRING, tokenize.COMMENT, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
_LAYOUT_OF_STATEMENTS = {tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
_LAYOUT = _LAYOUT_OF_STATEMENTS | {tokenize.NL}


@dataclass(frozen=True)
class Phrase:
    """A phrase that selab does not use.

    pattern: matches the phrase.
    instead: what to say instead.
    in_docstring: the phrase is wrong only at the beginning of a docstring.
    """

    pattern: re.Pattern[str]
    instead: str
    in_docstring: bool = False


@dataclass(frozen=True)
class Finding:
    """A place that uses a phrase; `line` counts from 1."""

    path: Path
    line: int
    words: str
    instead: str

    def __str__(self) -> str:
        return f'{self.path}:{self.line}: "{self.words}": say {self.instead}'


def read_phrases(text: str) -> list[Phrase]:
    """Parse phrases.txt: a phrase per line, `REGULAR EXPRESSION => WHAT TO SAY`. A blank matches any gap.

    Raises ValueError with the number of a line that has no `=>` or no valid regular expression.
    """
    phrases = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        words, arrow, instead = line.partition(" => ")
        in_docstring = words.startswith(DOCSTRING)
        try:
            if not arrow:
                raise ValueError("no ` => `")
            source = words.removeprefix(DOCSTRING).strip().replace(" ", _GAP)
            pattern = re.compile(source, re.IGNORECASE)
        except (ValueError, re.error) as error:
            raise ValueError(f"phrases.txt, line {number}: {error}") from error
        phrases.append(Phrase(pattern, instead.strip(), in_docstring))
    return phrases


def findings(path: Path, text: str, phrases: list[Phrase]) -> Iterator[Finding]:
    """Yield the places of `text`, the content of `path`, that use one of the phrases."""
    prose, docstrings = python_prose(text) if path.suffix == ".py" else (page_prose(path, text), [])
    for phrase in phrases:
        if phrase.in_docstring:
            for line, docstring in docstrings:
                if beginning := phrase.pattern.match(docstring):
                    yield Finding(path, line, beginning[0], phrase.instead)
        else:
            for match in phrase.pattern.finditer(prose):
                line = prose.count("\n", 0, match.start()) + 1
                yield Finding(path, line, " ".join(match[0].split()), phrase.instead)


def page_prose(path: Path, text: str) -> str:
    """Return `text` without the output of commands, if it is a page."""
    return _OUTPUT.sub(lambda block: "\n" * block[0].count("\n"), text) if path.suffix == ".md" else text


def python_prose(text: str) -> tuple[str, list[tuple[int, str]]]:
    """Return the comments and strings of Python source, each on its line, with a NUL for code between them,
    so that no phrase matches across code; and the line and text of each docstring.

    A string below a constant, which describes it, is a docstring too.
    """
    parts: list[str] = []
    docstrings = []
    line = 1
    before = tokenize.NEWLINE
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in _STRINGS:
            parts += "\n" * (token.start[0] - line), token.string
            line = token.end[0]
        elif token.type not in _LAYOUT and parts and parts[-1] != "\0":
            parts.append("\0")
        if token.type == tokenize.STRING and before in _LAYOUT_OF_STATEMENTS:
            docstrings.append((token.start[0], _QUOTES.sub("", token.string)))
        if token.type not in (tokenize.NL, tokenize.COMMENT):
            before = token.type
    return "".join(parts), docstrings


def checked_files(paths: list[str], excluded: list[str]) -> list[Path]:
    """List the text files at or below `paths`, relative to the repository, except those below `excluded`.

    Raises ValueError if one of the paths does not exist.
    """
    if missing := [name for name in [*paths, *excluded] if not (ROOT / name).exists()]:
        raise ValueError(f"These paths of [tool.check-language] do not exist: {', '.join(missing)}")
    files = []
    for name in paths:
        place = ROOT / name
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            relative = path.relative_to(ROOT)
            if path.suffix in SUFFIXES and path.is_file() and not _below(relative, excluded):
                files.append(relative)
    return files


def _below(path: Path, places: list[str]) -> bool:
    return any(path.is_relative_to(place) for place in places)


def main(arguments: list[str]) -> int:
    """Print each finding in the paths `arguments`, by default all, and return 1 if there is one."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["check-language"]
    phrases = read_phrases(PHRASES.read_text())
    files = checked_files(arguments or settings["paths"], settings["exclude"])
    places = [finding for path in files for finding in findings(path, (ROOT / path).read_text(), phrases)]
    for place in places:
        print(place)
    if places:
        print(
            f"{len(places)} places to edit; docs/development/language.md explains the rules.", file=sys.stderr
        )
    return min(len(places), 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
