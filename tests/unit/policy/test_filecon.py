"""One line of file contexts: how it is read from CIL, and the place of its files."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selab.policy.filecon import FileSpec, filecons
from selab.policy.flat import flatten
from selab.policy.pattern import MatchTime, UnreadablePattern


@pytest.mark.parametrize(
    ("pattern", "place"),
    [
        ("/srv/web(/.*)?", "/srv/web"),
        ("/opt/x/bin/[^/]*", "/opt/x/bin"),
        ("/opt/x/a\\.sh", "/opt/x/a.sh"),
        ("/opt/x/log.*", "/opt/x"),
    ],
)
def test_where_a_pattern_may_match(pattern: str, place: str) -> None:
    assert FileSpec(pattern, "", "c").place == place


@given(st.text(st.sampled_from("/a.b\\*+?[](){}|^$ -"), max_size=20))
def test_any_pattern_can_be_looked_at(pattern: str) -> None:
    spec = FileSpec(pattern, "", "c")
    with contextlib.suppress(UnreadablePattern):
        assert spec.matches("/srv/web", MatchTime()) in (True, False)
    assert isinstance(spec.rank, tuple) and isinstance(spec.place, str)


@pytest.mark.parametrize(
    ("cil", "expected"),
    [
        (
            '(filecon "/srv/x" any (u object_r web_t ((s0) (s0))))',
            FileSpec("/srv/x", "", "u:object_r:web_t:s0"),
        ),
        ('(filecon "/srv/x" symlink (u r web_t ((s0) (s0))))', FileSpec("/srv/x", "-l", "u:r:web_t:s0")),
        ('(filecon "/srv/x" any ())', FileSpec("/srv/x", "", "<<none>>")),
        (
            '(filecon "/srv/x" any (u r web_t ((s0(c1 c3 )) (s0((range c1 c3) )))))',
            FileSpec("/srv/x", "", "u:r:web_t:s0:c1,c3-s0:c1.c3"),
        ),
        (
            '(filecon "/srv/x" file (u r web_t (systemlow systemlow)))',
            FileSpec("/srv/x", "--", "u:r:web_t:s0"),
        ),
    ],
)
def test_a_line_is_read(cil: str, expected: FileSpec) -> None:
    assert filecons(f"(type web_t)\n{cil}\n") == [expected]


@pytest.mark.parametrize(
    "pattern",
    [
        "HOME_DIR/x",
        "HOME_ROOT",
        "/run/user/%{USERID}/x",
        "/tmp/%{USERNAME}",
        "/tmp/gconfd-USER/.*",
        "/srv/ROLES",
    ],
)
def test_a_line_that_genhomedircon_expands_is_a_template(pattern: str) -> None:
    (spec,) = filecons(f'(filecon "{pattern}" any (u object_r web_t ((s0) (s0))))\n')
    assert spec.is_template


CIL_MODULE = """\
(level low (s0)) (levelrange only (low low)) (level s0 (s0))
(context named (u object_r etc_t only))
(macro labels ((type x)) (filecon "/called" dir (u object_r x (low (s0)))))
(block web (type t) (roletype .object_r t)
    (filecon "/block" file (u object_r t ((s0) (s0 (c0)))))
    (block inner (filecon "/inner" any (u object_r etc_t (s0 s0)))))
(call labels (etc_t))
(filecon "/named" symlink named)
(filecon "/high" any (u object_r etc_t ((s0 (range c0 c2)) (s0 (range c0 c2)))))
(filecon "/two" any (u object_r etc_t ((s0) (s0 (c0 c2)))))
(filecon "/none" any ())
(filecon "HOME_DIR/x" any named)
(optional o (filecon "/optional" any (u object_r old_t only)))
"""
HEAD = """\
(class file (read)) (classorder (file)) (sid kernel) (sidorder (kernel))
(sensitivity s0) (sensitivityorder (s0)) (category c0) (category c1) (category c2)
(categoryorder (c0 c1 c2)) (sensitivitycategory s0 (c0 c1 c2))
(user u) (role r) (role object_r) (userrole u r) (userrole u object_r) (userlevel u (s0))
(userrange u ((s0) (s0 (range c0 c2)))) (type etc_t) (typealias old_t) (typealiasactual old_t etc_t)
(roletype r etc_t) (roletype object_r etc_t) (sidcontext kernel (u r etc_t ((s0) (s0))))
(allow etc_t self (file (read)))
"""


@pytest.mark.toolchain
def test_the_file_contexts_of_a_module_in_cil_are_those_that_secilc_writes(tmp_path: Path) -> None:
    (tmp_path / "base.cil").write_text(HEAD + CIL_MODULE)
    tree = subprocess.check_output(
        ["secil2tree", "--ast-phase=resolve", "-o", "/dev/stdout", "base.cil"], cwd=tmp_path, text=True
    )
    subprocess.check_call(["secilc", "-M", "1", "-o", "policy", "-f", "contexts", "base.cil"], cwd=tmp_path)
    written = (tmp_path / "contexts").read_text().splitlines()
    assert sorted(map(str, filecons(flatten(tree)))) == sorted(written)


@pytest.mark.parametrize("path", ["p", '"p"'])
def test_a_path_that_is_an_argument_of_a_macro_is_left_out(path: str) -> None:
    """secil2tree prints the parameter's name in its place."""
    cil = f'(call m ("/srv/x") (filecon {path} any (u object_r web_t ((s0) (s0)))))\n'
    assert filecons(cil) == []


@pytest.mark.parametrize(
    ("context", "expected"),
    [("u:r:old_t:s0", "u:r:new_t:s0"), ("u:r:x_t:s0", "u:r:x_t:s0"), ("<<none>>", "<<none>>")],
)
def test_an_alias_is_replaced_by_the_types_own_name(context: str, expected: str) -> None:
    assert FileSpec("/x", "", context).resolved({"old_t": "new_t"}).context == expected


PIECES = st.lists(
    st.sampled_from(
        ["/", "a", "b", r"\.", ".", "?", "*", "+", "|", "(", ")", "[ab]", "^", "$", r"\w", r"\\", "{2}"]
    )
)


@given(pieces=PIECES, path=st.text("/ab.\\", max_size=6))
def test_the_beginning_of_a_pattern_excludes_no_path_that_it_matches(pieces: list[str], path: str) -> None:
    pattern = "".join(pieces)
    with contextlib.suppress(UnreadablePattern):
        expected = MatchTime().matches(pattern, path)
        assert FileSpec(pattern, "", "u:r:t:s0").matches(path, MatchTime()) == expected


def test_a_pattern_whose_beginning_differs_is_not_compiled() -> None:
    """The invalid pattern shows it: to compile it is an error."""
    assert not FileSpec("/srv/web(", "", "u:r:t:s0").matches("/etc/shadow", MatchTime())
