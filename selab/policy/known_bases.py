"""The base policies in the cache: their names, and the one that a user chose by name or fingerprint."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from selab.errors import InputError, SelabError
from selab.policy.base import (
    BASES,
    FACTS,
    FORMAT,
    IMPORTED,
    LOCAL,
    STORE,
    BasePolicy,
    base_in,
    directory_name,
)
from selab.policy.macros import build_options
from selab.policy.survey import HEADERS, StoreFacts, stored_facts

SHOWN = 12
"""Digits of a fingerprint that selab shows."""
REPLACE = "Run a scenario on a guest that has it, or import it again with `selab base import FILE`."
"""What to do about a base policy whose files were changed."""
_PREFIX = re.compile(r"[0-9a-f]{4,64}")
"""The beginning of a fingerprint. Four digits at least, so that no name is mistaken for it."""
_VERSION = re.compile(r"\d{1,8}(?:\.\d{1,8}){0,3}", re.ASCII)
_ID_OF = {"red hat enterprise": "rhel"}
"""Distributions that are known by another word than the first one of their name."""


def known_bases(cache: Path) -> list[BasePolicy]:
    """Return the usable base policies in the cache, those from guests before imported ones."""
    return [base for directory, facts in _directories(cache) if (base := _usable(directory, facts, cache))]


def chosen_base(selector: str, cache: Path, chosen_by: str = "") -> BasePolicy:
    """Return the base policy whose name is `selector`, or whose fingerprint begins with it.

    `chosen_by` is what names it, for messages. Raises InputError unless there is exactly one, and SelabError
    if its files were changed.
    """
    known = list(_directories(cache))
    word = selector.lower()
    is_prefix = _PREFIX.fullmatch(word) is not None
    chosen = [
        (directory, facts)
        for directory, facts in known
        if _name(directory, facts) == word or (is_prefix and facts.fingerprint.startswith(word))
    ]
    subject = f"'{selector}'" + (f", which {chosen_by} names" if chosen_by else "")
    if not chosen:
        raise InputError(
            f"There is no base policy {subject}.",
            f"Known are: {_listed(known)}." if known else "No base policy is known.",
            "`selab base list` lists them, and `selab base import FILE` adds another.",
        )
    if len(chosen) > 1:
        raise InputError(
            f"There is more than one base policy {subject}.",
            f"These are: {_listed(chosen)}.",
            "Use the beginning of a fingerprint instead.",
        )
    directory, facts = chosen[0]
    if base := _usable(directory, facts, cache):
        return base
    raise SelabError(f"The base policy {subject} was changed.", f"Its digest differs: {directory}", REPLACE)


def imported_base(fingerprint: str, cache: Path) -> BasePolicy | None:
    """Return the imported base policy with that fingerprint, if there is one."""
    base = base_in(cache / IMPORTED / directory_name(fingerprint))
    return base if base and base.facts.fingerprint == fingerprint else None


def unusable(cache: Path) -> Iterator[str]:
    """Yield a sentence about each base policy in the cache that selab does not use."""
    for directory, facts in _directories(cache):
        if _usable(directory, facts, cache) is None:
            yield f"{directory} is not used, because it was changed. {REPLACE}"
    for directory in sorted((cache / IMPORTED).glob("*-v*")):
        if not directory.name.endswith(f"-v{FORMAT}"):
            yield (
                f"{directory} is not used, because another version of selab imported it. "
                "Export it again with this version."
            )


def completions(cache: Path) -> list[str]:
    """Return the words that choose a base policy, without reading the policies themselves."""
    known = list(_directories(cache))
    names = {_name(directory, facts) for directory, facts in known}
    return [*sorted(names), *sorted(facts.fingerprint[:SHOWN] for _, facts in known)]


def name_of(base: BasePolicy) -> str:
    """Return a name such as `centos9`: the distribution and its version, in the form of a profile's name."""
    return _name(base.directory, base.facts)


def origin(base: BasePolicy) -> str:
    """Return the distribution, version and name of a base policy, as far as they are known."""
    built_for = _built_for(base.headers) or "an unknown distribution"
    system = base.facts.system or f"{built_for}, of unknown version"
    return f"{system}, policy '{base.facts.selinux_type}' ({base.facts.fingerprint[:SHOWN]})"


def modules_of(base: BasePolicy) -> list[str]:
    """Return the names of the modules in force, without the store's local modifications."""
    names = (path.stem for path in (base.directory / STORE).iterdir())
    return sorted(name for name in names if name != LOCAL)


def _directories(cache: Path) -> Iterator[tuple[Path, StoreFacts]]:
    """Yield each base policy's directory with what its guest reported, each fingerprint once.

    The one that selab read from a guest goes before an imported one with its fingerprint.
    """
    seen: set[str] = set()
    for kind in (BASES, IMPORTED):
        for path in sorted((cache / kind).glob(f"*-v{FORMAT}/{FACTS}")):
            facts = next(iter(stored_facts(path)), None)
            if facts is None or facts.fingerprint in seen:
                continue
            if path.parent.name == directory_name(facts.fingerprint):
                seen.add(facts.fingerprint)
                yield path.parent, facts


def _usable(directory: Path, facts: StoreFacts, cache: Path) -> BasePolicy | None:
    """Return the base policy in `directory`, or an imported one in its place if its files were changed."""
    return base_in(directory) or imported_base(facts.fingerprint, cache)


def _listed(known: Iterable[tuple[Path, StoreFacts]]) -> str:
    return ", ".join(f"{_name(place, facts)} ({facts.fingerprint[:SHOWN]})" for place, facts in known)


def _name(directory: Path, facts: StoreFacts) -> str:
    system = facts.system.lower() or _built_for(directory / HEADERS)
    known_as = (word for long, word in _ID_OF.items() if system.startswith(long))
    first = next(known_as, system.partition(" ")[0])
    version = _VERSION.search(system)
    return (re.sub(r"[^a-z0-9_-]", "", first)[:32] or "unknown") + (version[0] if version else "")


def _built_for(headers: Path) -> str:
    """Return the distribution that build.conf names, or an empty string."""
    prefix = "distro_"
    try:
        definitions = build_options(headers).definitions
    except SelabError:
        return ""
    named = (each.removeprefix(prefix) for each in definitions if each.startswith(prefix))
    return next(named, "")
