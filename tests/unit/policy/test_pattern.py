"""File context patterns: PCRE2's answers within a limit of time, or an error that names the pattern."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selab.policy import pattern as pattern_module
from selab.policy.base import BasePolicy
from selab.policy.contexts import FileContexts
from selab.policy.filecon import FileSpec
from selab.policy.pattern import MAX_PATTERN, MatchTime, UnreadablePattern, as_regex, compiled_pattern
from tests.unit.policy.test_contexts import filecon, merged

PATTERNS = st.recursive(
    st.sampled_from(["a", "b", "/", ".", r"\.", "[^/]", "[ab]", r"\d", "[a-b/]", "^", "$", "\\-"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["*", "+", "?", "*?", "{2}", "{0,2}", "{1,}"])).map(
            lambda pair: f"({pair[0]}){pair[1]}"
        ),
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda pair: f"(?:{pair[0]}|{pair[1]})"),
    ),
    max_leaves=5,
)


def matches(pattern: str, path: str) -> bool:
    return FileSpec(pattern, "", "c").matches(path, MatchTime())


@given(PATTERNS, st.text("ab/.1-\n", max_size=6))
def test_a_pattern_matches_what_python_matches(pattern: str, path: str) -> None:
    assert matches(pattern, path) == (re.fullmatch(pattern, path, re.DOTALL) is not None)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("/usr/lib(/.*)?", "/usr/lib/x/y"),
        ("/usr/lib(/.*)?", "/usr/lib"),
        (r"/var/log/httpd\.log.*", "/var/log/httpd.log.1"),
        ("/(usr/)?s?bin/httpd[0-9]+", "/usr/sbin/httpd2"),
        ("/usr/(.*/)?bin(/.*)?", "/usr/local/x/bin/y"),
        ("/dev/[shmxv]d[^/]*", "/dev/sda1"),
        ("/a|/b", "/b"),
    ],
)
def test_a_pattern_of_the_reference_policy_matches(pattern: str, path: str) -> None:
    assert matches(pattern, path)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("/(?=ab)a.", "/ab"),
        ("/(?!x)a", "/a"),
        ("/.(?<=a)b", "/ab"),
        (r"/(a+)-\1", "/aa-aa"),
        ("/(?>a+)b", "/aab"),
        ("/a++b", "/aab"),
        ("/(?i:A)", "/a"),
        ("/[[:alpha:]]+", "/ab"),
        (r"/a\hb", "/a b"),
        ("/a{e<=1}", "/a{e<=1}"),
        ("/a{b}", "/a{b}"),
        ("/..", "/é"),
        ("/a.b", "/a\nb"),
        ("/\udcff", "/\udcff"),
    ],
)
def test_a_pattern_matches_as_in_pcre(pattern: str, path: str) -> None:
    assert matches(pattern, path)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [("/(?!a)a", "/a"), (r"/(a+)-\1", "/aa-a"), ("/a{e<=1}", "/a"), ("/[[:alpha:]]", "/1"), ("/a", "/a/")],
)
def test_a_pattern_does_not_match_as_in_pcre(pattern: str, path: str) -> None:
    assert not matches(pattern, path)


@pytest.mark.parametrize(
    "pattern",
    [
        "/(",
        r"/a\Q.\E",
        r"/\pL",
        r"/\N",
        "/a(?i)A",
        "/(?R)?a",
        "/(a(?1)?)",
        "/(?&name)",
        "/a(*SKIP)b",
        "/a{,3}",
        "/(?C1)a",
        "/" + "(" * 2000 + ")" * 2000,
        "/" + "a" * MAX_PATTERN,
    ],
)
def test_a_pattern_that_selab_cannot_evaluate_is_an_error(pattern: str) -> None:
    with pytest.raises(UnreadablePattern):
        compiled_pattern(pattern)


def test_a_candidates_pattern_that_selab_cannot_evaluate_is_an_error_before_the_run(base: BasePolicy) -> None:
    with pytest.raises(UnreadablePattern, match="pattern of the file contexts"):
        merged(base, filecon("/srv/web(?R)?"))


@pytest.mark.growth
@pytest.mark.parametrize("pattern", ["/(a|aa)+b", "/(?:a?){400}a{400}b", r"/(a*)*\1b", "/(?=(a|aa)+c)d"])
def test_a_pattern_that_takes_exponential_time_ends(pattern: str) -> None:
    limit = MatchTime(0.2)
    try:
        assert not FileSpec(pattern, "", "c").matches("/" + "a" * 4000, limit)
    except UnreadablePattern as error:
        assert "took more than 0.2 seconds" in error.detail


def test_all_patterns_together_have_one_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 6.0, 6.0, 12.0, 12.0, 12.0])
    # Threads of other tests read the real clock.
    monkeypatch.setattr(pattern_module, "time", SimpleNamespace(monotonic=lambda: next(times)))
    limit = MatchTime(10.0)
    assert limit.matches("/a", "/a")
    assert limit.matches("/b", "/b")
    with pytest.raises(UnreadablePattern, match="evaluate"):
        limit.matches("/c", "/c")


def test_volumes_are_searched_for_within_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("selab.policy.contexts.MatchTime", lambda: MatchTime(0.0))
    with pytest.raises(UnreadablePattern):
        FileContexts((FileSpec("/a", "", "c"),), "").cover("/a")


@pytest.mark.parametrize("pattern", ["a{2}", "a{2,}", "a{1,2}", r"\{e\}", r"\p{L}"])
def test_a_repetition_stays_a_repetition(pattern: str) -> None:
    assert as_regex(pattern) == pattern


def test_a_compiled_pattern_is_kept() -> None:
    assert compiled_pattern("/kept") is compiled_pattern("/kept")
