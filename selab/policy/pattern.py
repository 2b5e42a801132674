"""Match the patterns of file contexts, which strangers wrote, within a limit of time.

libselinux gives a pattern to PCRE2. The module `regex` has the same syntax, except for some constructs, which
are refused by name. Unlike `re`, it has a time limit, because `/(a|aa)+b` takes exponential time.
"""

from __future__ import annotations

import functools
import re
import time
import warnings

import regex

from selab.errors import SelabError

MAX_PATTERN = 4096
"""Bytes of a pattern. The longest of the reference policy have about 200."""
MAX_SECONDS = 10.0
"""Seconds for all matches of one purpose, such as all paths of an advice. They take less than one."""

_ESCAPES = re.compile(r"\\(?:[0-9AaBbDdRSWfhnrstwxz]|[^0-9A-Za-z])")
"""The escape sequences that `regex` and PCRE2 take in the same way."""
_UNSUPPORTED = {
    re.compile(r"\\"): "escape sequences with letters, other than the usual ones,",
    re.compile(r"\(\?[a-zA-Z^-]+\)"): "flags for the rest of the pattern, or recursion",
    re.compile(r"\(\?(?:[0-9+&]|-\d|P>)"): "recursion",
    re.compile(r"\(\*"): "verbs",
    re.compile(r"\{,\d*\}"): "repetitions without a lower bound",
}
"""What `regex` evaluates otherwise than PCRE2, or without a limit of memory."""
_NO_REPETITION = re.compile(r"\\(?:[pPNg]\{[^{}]*\}|.)|\{(?!\d*(?:,\d*)?\})", re.DOTALL)
"""An escape sequence, or a brace that PCRE2 takes literally and `regex` for an approximate match."""


class UnreadablePattern(SelabError):
    """selab cannot evaluate a pattern of file contexts."""

    def __init__(self, pattern: str, why: str) -> None:
        super().__init__(
            "selab cannot evaluate a pattern of the file contexts.",
            f"{pattern[:200]!r}: {why}",
            "Write the pattern more simply, without nested repetitions, look-around or references.",
        )


class MatchTime:
    """The time that is left for the matches of one purpose, which also ends thousands of slow patterns."""

    def __init__(self, seconds: float = MAX_SECONDS) -> None:
        self._seconds = self._left = seconds

    def matches(self, pattern: str, path: str) -> bool:
        """Return whether the whole of `path` matches. Raises UnreadablePattern if it is unknown."""
        compiled = compiled_pattern(pattern)
        started = time.monotonic()
        try:
            if self._left <= 0:
                raise TimeoutError
            return compiled.fullmatch(_bytes(path), timeout=self._left) is not None
        except TimeoutError as error:
            why = f"the matches took more than {self._seconds:g} seconds"
            raise UnreadablePattern(pattern, why) from error
        except MemoryError as error:
            raise UnreadablePattern(pattern, "it needs too much memory") from error
        finally:
            self._left -= time.monotonic() - started


@functools.lru_cache(maxsize=8192)
def compiled_pattern(pattern: str) -> regex.Pattern[bytes]:
    """Return the compiled pattern; a policy has some thousands. Raises UnreadablePattern."""
    if len(pattern) > MAX_PATTERN:
        raise UnreadablePattern(pattern, f"it has more than {MAX_PATTERN} characters")
    unescaped = _ESCAPES.sub("", pattern)
    for construct, name in _UNSUPPORTED.items():
        if construct.search(unescaped):
            raise UnreadablePattern(pattern, f"{name} are not supported")
    try:
        with warnings.catch_warnings(action="ignore"):
            # As libselinux: bytes, and a dot that also matches the end of a line.
            return regex.compile(_bytes(as_regex(pattern)), regex.DOTALL, cache_pattern=False)
    except (regex.error, OverflowError, RecursionError, MemoryError) as error:
        raise UnreadablePattern(pattern, str(error) or "it is nested too deeply") from error


def as_regex(pattern: str) -> str:
    """Escape the braces that are not a repetition: to `regex`, `x{e<=1}` is an approximate match."""
    return _NO_REPETITION.sub(lambda match: r"\{" if match[0] == "{" else match[0], pattern)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
