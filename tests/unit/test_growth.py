"""Readers of foreign text: twice the input takes at most about twice the steps.

The tests count the lines of Python that run, not the time. They cannot see the steps of a search in C, so
each regular expression is checked by its form.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import re
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from selab.errors import SelabError
from selab.policy.language.words import NotAStatement
from tests.unit.growth import faults, patterns, steps
from tests.unit.readers import READERS

pytestmark = pytest.mark.growth

LINEAR = {
    "container/image.py: '(?:[^": "each alternative begins with another character",
    "host/yamlfile.py: '(": "the text is a docstring of selab",
    "advice/block.py: '^# selab suggest: begin": "the text has at most one begin marker",
    r"images/rootfs.py: '\\n\\s*\\n": "it only fails on white space with a single line end",
    "policy/toolchain.py: '--policyvers": "the text is the help of this machine's secilc",
    "vm/box/build.py: '^Would relabel": "a line has one path, of at most 4096 bytes",
}
"""Patterns, by their place and beginning, that are linear for a reason that their form does not show."""
LARGE = 96 * 1024
"""Characters of the large input."""
SECONDS = 5.0
"""Seconds of processor time for one large input. The slowest reader takes one."""
PART = 16
"""A reader first reads this part of the large input. A reader that takes quadratic time, and more than
SECONDS for the large input, takes more than SECONDS / PART**2 for the part. If it also takes more than STEEP
times as long for the part as for a quarter of it, it reads all of the input."""
STEEP = 5
"""Four if the time is linear, 16 if it is quadratic. A reader whose ratio is below five takes less than five
seconds for the large input, if it takes as long for the part as the slowest reader."""


ROUNDS = (100, 200)
"""How often the input is repeated. Beyond 64 times, what is bounded has reached its bound: nested blocks,
open events, kinds."""


def read(name: str, text: str) -> None:
    with contextlib.suppress(SelabError, ValueError, NotAStatement):
        READERS[name][0](text)


def seconds(name: str, word: str, characters: int) -> float:
    """Return the processor time that the reader takes for so many characters of repeated words.

    A garbage collection takes as long as a reader, and would look like steep growth.
    """
    text = word * (characters // len(word))
    gc.disable()
    try:
        begin = time.process_time()
        read(name, text)
        return time.process_time() - begin
    finally:
        gc.enable()


def may_be_slow(name: str, word: str) -> bool:
    part = seconds(name, word, LARGE // PART)
    return part > SECONDS / PART**2 and part > STEEP * seconds(name, word, LARGE // PART // 4)


@pytest.mark.parametrize("name", [name for name, (_, words) in READERS.items() if len(words) > 1])
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_twice_the_input_takes_about_twice_the_steps(name: str, data: st.DataObject) -> None:
    before, unit, after = (
        "".join(data.draw(st.lists(st.sampled_from(READERS[name][1]), min_size=least, max_size=4)))
        for least in (0, 1, 0)
    )
    counts = [steps(functools.partial(read, name, before + unit * times + after)) for times in ROUNDS]
    assert counts[1] <= 2.25 * counts[0] + 300, (before, unit, after)


@pytest.mark.parametrize("name", READERS)
def test_twice_of_each_word_takes_about_twice_the_steps(name: str) -> None:
    counts = {
        unit: [steps(functools.partial(read, name, unit * times)) for times in ROUNDS]
        for unit in READERS[name][1]
    }
    assert {unit: taken for unit, taken in counts.items() if taken[1] > 2.25 * taken[0] + 300} == {}


@functools.cache
def suspects() -> dict[str, str]:
    """Return a reason for each pattern of selab that may not be linear, by its place."""
    return {place: reason for place, function, pattern in patterns() for reason in faults(function, pattern)}


def test_each_regular_expression_is_linear_by_its_form() -> None:
    assert {place: why for place, why in suspects().items() if not place.startswith(tuple(LINEAR))} == {}


def test_each_exception_is_needed() -> None:
    assert [key for key in LINEAR if not any(place.startswith(key) for place in suspects())] == []


@pytest.mark.parametrize(
    ("function", "pattern"),
    [
        ("match", "(a+)+b"),
        ("match", "(?:a|b*)*c"),
        ("match", "a*a*b"),
        ("match", ".*x.*y"),
        ("match", r"\s+[ \t]*x"),
        ("search", r"\w+:"),
        ("search", "a[a-z]*:"),
        ("search", r"\[[^]]*\]"),
        ("sub", r"\\*\|"),
        ("search", r"(?m)^\s*x"),
        ("findall", r"://[^/\s]*:[^/\s]*@"),
    ],
)
def test_a_form_that_may_not_be_linear_is_seen(function: str, pattern: str) -> None:
    assert faults(function, re.compile(pattern)) != []


@pytest.mark.parametrize(
    ("function", "pattern"),
    [
        ("match", r"\w+:\w+;"),
        ("search", r"\[[^][]*\]"),
        ("search", r"(?m)^[^\S\n]*x"),
        ("search", r"audit\((\d{1,12}):"),
        ("findall", r"\w+"),
        ("match", r"[^:]*:.*"),
    ],
)
def test_a_linear_form_is_not_a_fault(function: str, pattern: str) -> None:
    assert faults(function, re.compile(pattern)) == []


@pytest.mark.parametrize("name", READERS)
def test_a_large_input_takes_little_processor_time(name: str) -> None:
    """Steps within one call of a function in C are not counted, so a generous limit bounds them."""
    slow = {word: seconds(name, word, LARGE) for word in READERS[name][1] if may_be_slow(name, word)}
    assert {word: taken for word, taken in slow.items() if taken > SECONDS} == {}
