"""script/check-language finds the phrases that selab does not use, and nothing else."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
LANGUAGE = (ROOT / "docs" / "development" / "language.md").read_text()
EXAMPLES = re.findall(
    r"^\| (.+) \| (.+) \|$", LANGUAGE.partition("## Examples")[2].partition("\n## ")[0], re.MULTILINE
)[1:]


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_language", ROOT / "script" / "check_language.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["check_language"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


check = script()
PHRASES = check.read_phrases(check.PHRASES.read_text())


def lines(text: str, name: str = "page.md") -> list[int]:
    """The lines of `text` that use a phrase."""
    return sorted({finding.line for finding in check.findings(Path(name), text, PHRASES)})


@pytest.mark.parametrize(("wrong", "right"), EXAMPLES)
def test_it_finds_what_the_sheet_replaces(wrong: str, right: str) -> None:
    assert lines(wrong) == [1]
    assert lines(right) == []


@pytest.mark.parametrize(
    "wrong",
    [
        "Somebody changed it.",
        "It helps whoever reads it.",
        "The VM of selab's own.",
        "Where there is none, it is built.",
        "It is built where it is missing.",
        "Raises SelabError where the file is missing.",
        "The workers do not come to an end.",
        "The run before was better.",
        "pipx install selab",
        "pip install 'selab[matrix]'",
        'pip install "selab"',
    ],
)
def test_it_finds(wrong: str) -> None:
    assert lines(wrong) == [1]


@pytest.mark.parametrize(
    "right",
    [
        "The file says where it stands.",
        "Create the VM if there is none.",
        "Raises SelabError if the file is missing.",
        "pipx install .",
        "pipx install selab-*.whl",
        "pip install '.[matrix]'",
    ],
)
def test_it_accepts(right: str) -> None:
    assert lines(right) == []


def test_a_finding_names_the_place_the_phrase_and_what_to_say() -> None:
    phrases = check.read_phrases("# comment\n\n\\bon purpose\\b => deliberately\n")
    (finding,) = check.findings(Path("page.md"), "one\nit stops on purpose\n", phrases)
    assert str(finding) == 'page.md:2: "on purpose": say deliberately'


def test_a_phrase_may_be_broken_over_two_lines_of_a_page() -> None:
    assert lines("This does nothing\ntwice.") == [1]


def test_a_phrase_may_be_broken_over_two_lines_of_a_comment() -> None:
    assert lines("x = 1  # it stops on\n# purpose\n", "module.py") == [1]


def test_a_phrase_may_be_broken_over_two_parts_of_a_string() -> None:
    assert lines('x = (\n    "it stops on "\n    "purpose"\n)\n', "module.py") == [2]


def test_a_message_in_code_is_checked() -> None:
    assert lines('raise ValueError(f"{name} is there on purpose")\n', "module.py") == [1]


def test_code_is_not_checked() -> None:
    assert lines("nobody = where = None if x is None else nobody\n", "module.py") == []


def test_a_phrase_does_not_match_across_code() -> None:
    assert lines("x = 1  # it goes on\ny = 2  # purpose\n", "module.py") == []


def test_output_of_a_command_in_a_page_is_not_checked() -> None:
    assert lines("Text:\n\n    $ selab run apache\n    it stops on purpose\n\nMore text.\n") == []


def test_text_after_the_output_of_a_command_is_checked() -> None:
    assert lines("    $ selab run apache\n    output\n\nIt stops on purpose.\n") == [4]


def test_other_code_in_a_page_is_checked() -> None:
    assert lines("    selab run apache    # it stops on purpose\n") == [1]


@pytest.mark.parametrize("beginning", ["The same in another guest.", "Those that are left.", "Where it is."])
def test_a_docstring_may_not_begin_so(beginning: str) -> None:
    assert lines(f'def f():\n    """{beginning}"""\n', "module.py") == [2]


def test_a_sentence_within_a_docstring_may_begin_so() -> None:
    assert lines('def f():\n    """Ask for it. The same answer is returned."""\n', "module.py") == []


@pytest.mark.parametrize("line", ["no arrow", "[unclosed => something"])
def test_a_line_of_the_list_that_is_wrong_is_named(line: str) -> None:
    with pytest.raises(ValueError, match="line 2"):
        check.read_phrases(f"right => wrong\n{line}\n")


def test_a_path_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(ValueError, match="no_such_directory"):
        check.checked_files(["no_such_directory"], [])


def test_a_path_below_an_excluded_one_is_left_out() -> None:
    files = check.checked_files(["docs"], ["docs/development"])
    assert Path("docs/README.md") in files and Path("docs/development/README.md") not in files


@pytest.mark.parametrize(("words", "code"), [("It stops on purpose.", 1), ("It stops.", 0)])
def test_the_exit_code_says_whether_there_are_findings(
    words: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.check-language]\npaths = ['page.md']\nexclude = []\n")
    (tmp_path / "page.md").write_text(words)
    monkeypatch.setattr(check, "ROOT", tmp_path)
    assert check.main([]) == code
