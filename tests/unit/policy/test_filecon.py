"""One line of file contexts: how it is read from CIL, and the place of its files."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selab.policy.filecon import FileSpec, filecons
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
    ],
)
def test_a_line_is_read(cil: str, expected: FileSpec) -> None:
    assert list(filecons(f"(type web_t)\n{cil}\n")) == [expected]


@pytest.mark.parametrize("pattern", ["HOME_DIR/x", "HOME_ROOT", "/run/user/%{USERID}/x", "/tmp/%{USERNAME}"])
def test_a_template_for_home_directories_is_left_out(pattern: str) -> None:
    assert list(filecons(f'(filecon "{pattern}" any (u object_r web_t ((s0) (s0))))\n')) == []


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
