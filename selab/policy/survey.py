"""Survey the guest's policy store: its settings, and the fingerprint of its files."""

from __future__ import annotations

import functools
import hashlib
import os
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from selab.errors import SelabError
from selab.guest import Completed, Malformed, Query, number, one_of, script
from selab.host.files import read_json, write_json
from selab.policy.guest.module_store import PRIORITY
from selab.policy.integrity import digests

MODULE_FILE = re.compile(r"modules/(disabled|\d+)/([^/]+)(?:/cil)?")
_TYPE_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_DIGEST = re.compile(r"(\w{1,128}) [ *](.+)", re.ASCII)
HEADERS = "devel"
"""The digest of all development headers has this path in the survey of a store."""
CONTEXTS = "contexts"
"""The digest of the files of CONTEXT_FILES has this path in it."""
TEMPLATES = "templates"
"""The digest of the guest's templates for udica has this path in it."""
TEMPLATE_FILE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,99}\.cil")
"""The names of files that survey.sh takes for templates."""
CONTEXT_FILES = ("files/file_contexts.subs", "files/file_contexts.subs_dist", "lxc_contexts")
"""What selab uses of a policy's contexts/, and no module declares."""


@dataclass(frozen=True)
class StoreFacts:
    """What the guest reports about its policy store.

    selinux_type: name of the policy, such as `targeted`.
    policyvers: newest policy version that the kernel accepts.
    mls: whether the policy has MLS levels.
    expand_check: whether the store checks neverallow rules and hierarchy (semanage.conf(5), expand-check).
    fingerprint: digest of the modules in force, the local modifications, the development headers, udica's
        templates and the files of CONTEXT_FILES.
    dontaudit: false if `semodule -DB` has switched dontaudit rules off.
    without: names of modules that are treated as absent.
    signature: digest of the state of the store's files and configuration; while it stays, so does everything
        else.
    system: distribution and version of the guest, such as `Debian GNU/Linux 13 (trixie)`, or empty.
    replaced: names out of `without` that modules of the distribution have too, which are in force.
    """

    selinux_type: str
    policyvers: int
    mls: bool
    expand_check: bool
    fingerprint: str
    dontaudit: bool = True
    without: tuple[str, ...] = ()
    signature: str = ""
    system: str = ""
    replaced: tuple[str, ...] = ()


MAX_FACTS = 16
"""Candidates for which a project keeps what its guest reported."""


class StoreChanged(SelabError):
    """The guest's policy store differs from the expected one."""


def survey(without: Collection[str] = ()) -> Query[StoreFacts]:
    """Query the guest's policy store, without the modules named in `without` (an installed candidate)."""
    return Query(script("policy/survey"), functools.partial(_facts, tuple(sorted(without))))


def same_store(facts: StoreFacts) -> Query[None]:
    """Query whether the guest's store still matches `facts`; reading the answer raises StoreChanged."""
    return Query(script("policy/same-store"), _is_same, (facts.selinux_type, facts.signature))


def _is_same(done: Completed) -> None:
    if not done.ok:
        raise StoreChanged(
            "The guest's policy store changed.", done.error_text.strip(), "Run the command again."
        )


def _facts(without: tuple[str, ...], done: Completed) -> StoreFacts:
    head, _, store = done.expect(
        "The guest's policy store cannot be read.", hint="Run `selab doctor`."
    ).text.partition("\nstore\n")
    try:
        reported = _unique(line.split(maxsplit=1) for line in head.splitlines() if " " in line.strip())
        for key in reported:
            one_of(key, "signature", "type", "policyvers", "mls", "expand", "dontaudit", "system")
        policyvers = number(reported.get("policyvers", "").strip())
        mls = one_of(reported.get("mls", "").strip(), "0", "1") == "1"
        selinux_type = reported.get("type", "")
        if not _TYPE_NAME.fullmatch(selinux_type):
            raise Malformed("the policy's name contains characters that make expands")
        digests_by_path = _digests_by_path(store)
        fingerprint = fingerprint_of(digests_by_path, without)
    except Malformed as error:
        raise SelabError(
            "The guest did not report which policy store it has.",
            f"It reported: {done.text[:100]!r}",
            "Run `selab doctor`.",
        ) from error
    return StoreFacts(
        selinux_type,
        policyvers,
        mls,
        reported.get("expand", "1").strip() == "1",
        fingerprint,
        reported.get("dontaudit") != "off",
        without,
        reported.get("signature", ""),
        reported.get("system", "").strip()[:100],
        replaced(digests_by_path, without),
    )


def _unique(pairs: Iterable[Sequence[str]]) -> dict[str, str]:
    values: dict[str, str] = {}
    for key, value in pairs:
        if key in values:
            raise Malformed(f"it has {key[:40]!r} twice")
        values[key] = value
    return values


def _digests_by_path(store: str) -> dict[str, str]:
    """Read the lines `DIGEST  PATH` of sha256sum, which follow a line with the store's signature."""
    matches = [_DIGEST.fullmatch(line) for line in store.splitlines()[1:]]
    if not all(matches):
        raise Malformed("a line is not a digest with a path")
    return _unique((match[2], match[1]) for match in matches if match)


def fingerprint_of(store: dict[str, str], without: Collection[str]) -> str:
    """Digest the modules in force, the local modifications, the headers, the contexts and the templates.

    `store` holds the digest of each file by its path in the active store.
    """
    if not store:
        raise Malformed("the store is empty")
    best = modules_in_force(store, without)
    parts = [f"{name} {priority} {store[path]}" for name, (priority, path) in sorted(best.items())]
    parts += [
        f"{path} {digest}"
        for path, digest in sorted(store.items())
        if path.endswith(".local") or path in (HEADERS, CONTEXTS, TEMPLATES)
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def digest_of_part(directory: Path, part: str) -> str:
    """Return the digest of the files below `part`, as survey.sh computes it from sha256sum's output."""
    files = {
        f"{part}/{path}": digest
        for path, digest in digests(directory / part).items()
        if part != CONTEXTS or path in CONTEXT_FILES
    }
    lines = (f"{files[path]}  {path}\n" for path in sorted(files, key=os.fsencode))
    return hashlib.sha256(b"".join(os.fsencode(line) for line in lines)).hexdigest()


def modules_in_force(paths: Iterable[str], without: Collection[str]) -> dict[str, tuple[int, str]]:
    """Return the priority and path of each module in force, by name.

    A module is in force if modules/disabled does not name it, in its highest priority (semanage.conf(5),
    semodule(8)).
    """
    best: dict[str, tuple[int, str]] = {}
    disabled: set[str] = set(without)
    for path in paths:
        if match := MODULE_FILE.fullmatch(path):
            where, name = match.groups()
            if where == "disabled":
                disabled.add(name)
            elif path.endswith("/cil") and int(where) >= best.get(name, (0, ""))[0]:
                best[name] = (int(where), path)
    return {name: match for name, match in best.items() if name not in disabled}


def replaced(paths: Collection[str], names: Collection[str]) -> tuple[str, ...]:
    """Return which of `names` modules have that neither selab nor an administrator installed.

    A module at PRIORITY is taken to be the candidate itself, which was installed before.
    """
    installed = f"modules/{PRIORITY}/"
    others = modules_in_force((path for path in paths if not path.startswith(installed)), ())
    return tuple(sorted(others.keys() & set(names)))


def keep_facts(facts: StoreFacts, path: Path) -> None:
    """Store what a guest reported about its policy store, beside what it reported without other modules.

    Runs of several candidates thus need no survey each: each candidate is left out of its own base policy.
    """
    stored = stored_facts(path)
    latest = (facts, *(each for each in stored if each.without != facts.without))[:MAX_FACTS]
    if stored != latest:
        write_json(path, {"facts": [asdict(each) for each in latest]})


def stored_facts(path: Path) -> tuple[StoreFacts, ...]:
    """Read the facts that `keep_facts` stored, the latest first; empty if the file is missing or invalid."""
    try:
        return tuple(
            StoreFacts(
                **{
                    **entry,
                    "without": tuple(entry["without"]),
                    "replaced": tuple(entry.get("replaced", ())),
                }
            )
            for entry in read_json(path).get("facts", [])
        )
    except (KeyError, TypeError):
        return ()
