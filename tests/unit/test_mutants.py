"""script/mutants: which mutants there are, what became of them, and which equivalent ones are known."""

from __future__ import annotations

import importlib
import json
import signal
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(str(ROOT / "script"))
    results, python, shell, mutants, sessions = (
        importlib.import_module(name)
        for name in ("mutant_results", "python_mutants", "shell_mutants", "mutants", "sessions")
    )
Result, Equivalent = results.Result, results.Equivalent
DECORATED = """\
class A:
    @property
    def name(self):
        # why
        return self.x

    @functools.lru_cache(maxsize=3)
    def cached(self):
        return 1

    @name.setter
    def name(self, x):
        self.x = x

def plain():
    return 2
"""
PLAIN = """\
class A:
    def name(self):
        # why
        return self.x
    name = property(name)

    def cached(self):
        return 1
    cached = functools.lru_cache(maxsize=3)(cached)

    @name.setter
    def name(self, x):
        self.x = x

def plain():
    return 2
"""


def survivor(where: str = "selab/a.py::f", old: str = "return 1", new: str = "return 2") -> object:
    return Result(where, old, new, results.SURVIVED)


# --- what became of the mutants


def test_the_score_is_the_share_that_tests_killed_of_those_that_they_can_kill() -> None:
    mutants_of_package = [
        survivor(),
        survivor(new="return 3"),
        Result("selab/a.py::f", "", "", results.KILLED),
        Result("selab/a.py::g", "", "", results.UNTESTED),
    ]
    score = results.score("a", mutants_of_package, [Equivalent(*survivor().key, "why")])
    assert score.row == "| a | 4 | 1 | 2 | 1 | 1 | 33.3 % |"
    assert [result.key[0::2] for result in score.survivors] == [
        ("selab/a.py::f", "return 3"),
        ("selab/a.py::g", ""),
    ]


@pytest.mark.parametrize(
    ("entry", "stale"),
    [
        (Equivalent("selab/a.py::f", "return 1", "return 2", ""), False),
        (Equivalent("selab/a.py::f", "return 1", "return 4", ""), True),
        (Equivalent("selab/a.py::g", "return 1", "return 2", ""), False),  # no mutant of g was run
    ],
)
def test_an_entry_that_matches_no_survivor_of_its_function_is_stale(entry: object, stale: bool) -> None:
    assert results.score("a", [survivor()], [entry]).stale == [entry] * stale


def test_an_equivalent_mutant_that_a_test_kills_is_stale() -> None:
    killed = Result("selab/a.py::f", "x", "y", results.KILLED)
    entry = Equivalent("selab/a.py::f", "x", "y", "")
    assert results.score("a", [killed], [entry]).stale == [entry]


@pytest.mark.parametrize(
    ("old", "new", "wording"),
    [
        ('raise E("no such file")', 'raise E("XXno such fileXX")', True),
        ('raise E("No such file")', 'raise E("no such file")', True),
        ('raise E("no such file")', "raise E(None)", False),
        ('x["key"]', 'x["XXkeyXX"]', False),
    ],
)
def test_a_survivor_may_only_differ_in_the_wording_of_a_sentence(old: str, new: str, wording: bool) -> None:
    assert survivor(old=old, new=new).wording is wording


def test_the_changed_lines_are_those_between_equal_ones() -> None:
    assert results.changed_lines(["a", " b", "b", "c"], ["a", " x", "b", "c"]) == ("b", "x")
    assert results.changed_lines(["a", "a"], ["a"]) == ("a", "")


@pytest.mark.parametrize(("one_in", "count"), [(1, 7), (3, 3), (100, 1)])
def test_a_sample_is_one_in_so_many_in_their_order(one_in: int, count: int) -> None:
    items = list("abcdefg")
    chosen = results.sample(items, one_in)
    assert (len(chosen), chosen) == (count, sorted(chosen))
    assert chosen == results.sample(items, one_in)


def test_nothing_is_a_sample_of_nothing() -> None:
    assert results.sample([], 3) == []


def test_the_equivalent_mutants_are_named_with_a_reason_in_existing_functions() -> None:
    entries = results.read_equivalents(mutants.EQUIVALENTS)
    assert all(entry.reason for entry in entries)
    assert mutants.misplaced(entries) == []


def test_an_entry_of_a_function_or_script_that_does_not_exist_is_reported() -> None:
    places = ["selab/none.py::f", "selab/guest.py::none", "selab/none.sh", "selab/guest.py::Completed.ok"]
    entries = [Equivalent(place, "", "", "") for place in places]
    assert mutants.misplaced(entries) == entries[:3]


# --- mutants of Python code


def test_known_decorators_are_applied_below_their_function() -> None:
    assert python.undecorated(DECORATED) == PLAIN


@pytest.mark.parametrize(
    ("line", "names"), [(1, set()), (2, {"A.name"}), (5, {"A.name"}), (6, set()), (16, {"plain"})]
)
def test_a_line_belongs_to_a_function_with_its_decorators(line: int, names: set[str]) -> None:
    assert python.functions_at(DECORATED, {line}) == names


def test_mutmut_selects_the_mutants_of_functions_and_methods_by_its_own_names() -> None:
    names = [python.mutmut_pattern("selab/a/b.py", name) for name in ("f", "A.f")]
    assert names == ["selab.a.b.x_f__mutmut_*", "selab.a.b.xǁAǁf__mutmut_*"]


def test_mutmuts_notes_are_read(tmp_path: Path) -> None:
    lines = ["def xǁAǁf__mutmut_orig():", "    return 1", "def xǁAǁf__mutmut_1():", "    return 2"]
    (tmp_path / "a.py").write_text("\n".join(lines))
    (tmp_path / "a.py.spans").write_text(
        json.dumps({"spans": {"xǁAǁf__mutmut_orig": [1, 2], "xǁAǁf__mutmut_1": [3, 4]}})
    )
    codes = [0, 1, 33, -24, None]
    statuses = []
    for code in codes:
        (tmp_path / "a.py.meta").write_text(json.dumps({"exit_code_by_key": {"a.xǁAǁf__mutmut_1": code}}))
        for result in python.read_results(tmp_path, "a.py"):
            assert result.key == ("a.py::A.f", "return 1", "return 2")
            statuses.append(result.status)
    assert statuses == [results.SURVIVED, results.KILLED, results.UNTESTED, results.KILLED]


# --- mutants of shell scripts


@pytest.mark.parametrize(
    ("line", "changed"),
    [
        ("exit 4", {"exit 5", ":"}),
        ("a && b", {"a || b", "a && :", ":"}),
        ("[ -e x ] || exit", {"[ ! -e x ] || exit", "[ -e x ] && exit", "[ -e x ] || :", ":"}),
        ("a -q --long=1 b", {"a --long=1 b", "a -q b", ":", "a -q --long=2 b", "a -q --long= b"}),
        ("a >&2", {"a", ":"}),
        ("a 2>/dev/null", {"a", ":"}),
        ("a >>b", {"a >b", "a", ":"}),
        ("a | sort", {"a", ":"}),
        ('a="$1"', {"a=", ":"}),
        ("# a && b", set()),
        ("sleep 2", {"sleep 3"}),
        ("while a; do b; done", {"until a; do b; done", "while a; do b; break; done", ":"}),
    ],
)
def test_a_line_of_a_script_has_these_mutants(line: str, changed: set[str]) -> None:
    texts = {mutant.text for mutant in shell.mutants(f"#!/bin/sh\n{line}\n")}
    assert texts == {f"#!/bin/sh\n{text}\n" for text in changed}


def test_what_the_shell_cannot_parse_is_no_mutant() -> None:
    lines = [mutant.number for mutant in shell.mutants("if a; then\n  b\nfi\n")]
    assert lines == [1, 2]


def test_the_trace_follows_the_head_of_a_script() -> None:
    text = shell.traced("#!/bin/sh\n# Does it.\n\necho it\n", "a.sh", Path("/ran"))
    assert text == "#!/bin/sh\n# Does it.\n\n{ echo a.sh >>/ran; } 2>/dev/null; echo it\n"


def test_the_trace_leaves_a_file_included_by_the_first_line() -> None:
    text = shell.traced("#!/bin/sh\n. ./lib-mode.sh\necho it\n", "a.sh", Path("/ran"))
    assert text == "#!/bin/sh\n{ echo a.sh >>/ran; } 2>/dev/null\n. ./lib-mode.sh\necho it\n"


# --- what is mutated


def test_every_script_of_the_guest_is_mutated() -> None:
    scripts = {path.relative_to(ROOT).as_posix() for path in (ROOT / "selab").rglob("*.sh")}
    assert scripts == {path for path in mutants.mutated_files() if path.endswith(".sh")}


def test_paths_select_modules_and_scripts() -> None:
    files = mutants.mutated_files(["selab/policy/guest/", "selab/guest.py"])
    assert {"selab/guest.py", "selab/policy/guest/load.py", "selab/policy/guest/scripts/load.sh"} <= set(
        files
    )
    assert "selab/guest_state.py" not in files
    assert mutants.mutated_files(["selab/none"]) == []


def test_a_diff_says_which_lines_changed() -> None:
    diff = "--- a/x\n+++ b/x\n@@ -3 +3,2 @@ def f\n-a\n+b\n+c\n@@ -9,2 +10,0 @@\n-d\n-e\n"
    assert mutants.lines_of_diff(diff) == {"x": {3, 4, 10}}


@pytest.mark.parametrize("path", ["selab/guest.py", "selab/run/outcome.py", "selab/vm/scripts/put.sh"])
def test_the_tests_of_a_package_exist(path: str) -> None:
    assert (ROOT / mutants.tests_of(path)).exists()


def test_what_a_mutant_leaves_behind_is_ended_with_its_session() -> None:
    with subprocess.Popen(["timeout", "60", "sleep", "61"], start_new_session=True) as process:
        sessions.end_session(process.pid)
        assert (process.wait(timeout=10), sessions.processes_of(process.pid)) == (-signal.SIGKILL, [])
