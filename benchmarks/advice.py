"""Compare what `selab suggest` and `audit2allow` write for one run's records.

It counts the lines, and the permissions beyond those that were requested.

    python -m benchmarks.advice --project DIR [RUN...]

Each RUN (default: the last) is a permissive run of a draft, in the history of the project DIR. `audit2allow`
writes plain rules, and with `-R` interfaces, by the same headers (sepolgen-ifgen, Debian:
policycoreutils-dev) and asked of the same base policy. A permission counts for each pair of types that gets
it, as selab.policy.query.index reads the rules; those that the base policy or the draft grants do not count.
Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from selab.analysis.offline import candidate_of
from selab.analysis.suggest import suggestions
from selab.errors import InputError
from selab.history import History, StoredRun
from selab.policy.language.cil import Rule
from selab.policy.query.decide import Access, Cause, Decision
from selab.policy.query.index import SELF, PolicyIndex
from selab.policy.source_file import write_source
from selab.progress import Progress
from selab.project import Project, find_project
from selab.run.replay import accesses, key_of, replay

Granted = frozenset[tuple[str, str, str, str]]
"""(source, target, class, permission)."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--project", type=Path, required=True)
    parser.add_argument("runs", nargs="*", default=["last"])
    chosen = parser.parse_args()
    project = find_project(chosen.project)
    print(
        "| scenario | asked | by | lines | permissions beyond | of what was asked, left denied |\n"
        "|---|---|---|---|---|---|"
    )
    with tempfile.TemporaryDirectory() as work:
        for name in chosen.runs:
            for row in rows(project, History.of(project).find(name), Path(work)):
                print(f"| {' | '.join(map(str, row))} |")


def rows(project: Project, stored: StoredRun, work: Path) -> Iterator[tuple[object, ...]]:
    """A row for each way, by the run's own draft."""
    policy, draft = stored.document.policy, stored.sources["te"]
    drafting = replace(project, drafts=work)
    for ending, text in stored.sources.items():
        write_source(work / f"{policy}.{ending}", text)
    without = candidate_of(drafting, [policy], Progress(), "The benchmark")
    before = PolicyIndex.of(without.base, without.modules)
    denied = frozenset(key for denial in stored.document.denials for key in denial.keys)
    records = work / "records"
    records.write_bytes(b"".join(line + b"\n" for line in stored.records if policy.encode() in line))
    interfaces, kernel = work / "interfaces", without.linked
    if not interfaces.exists():
        _said(["sepolgen-ifgen", "-i", str(without.base.headers), "-o", str(interfaces), "-p", str(kernel)])
    plain = ["audit2allow", "-r", "-p", str(kernel), "-i", str(records)]
    texts = {
        "selab suggest": suggestions(drafting, stored, Progress())[0].text,
        "audit2allow": _said(plain),
        "audit2allow -R": _said([*plain, "-R", "--interface-info", str(interfaces)]),
    }
    for way, text in texts.items():
        yield (
            stored.document.scenario,
            len(denied),
            way,
            *_measured(drafting, stored, draft, text, before, {tuple(key) for key in denied}),
        )


def _said(argv: list[str]) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def _measured(
    project: Project, stored: StoredRun, draft: str, text: str, before: PolicyIndex, denied: set[object]
) -> tuple[object, ...]:
    policy = stored.document.policy
    lines = [
        line
        for line in re.sub(
            r"(gen_require\(`|require \{).*?(^'\)|^\})", "", text, flags=re.DOTALL | re.MULTILINE
        ).splitlines()
    ]
    written = [line for line in lines if line.strip() and not line.startswith("#")]
    te = project.policies / f"{policy}.te"
    write_source(te, f"{draft}\n{text}\n")
    try:
        candidate = candidate_of(project, [policy], Progress(), "The benchmark")
    except InputError as error:
        return len(written), f"does not compile: {error.detail}", ""
    finally:
        write_source(te, draft)
    beyond = granted(before, PolicyIndex.of(candidate.base, candidate.modules)) - denied
    requested = [access for access in accesses(stored.records) if _identity(access) in denied]
    return len(written), len(beyond), len(replay(candidate.linked, requested).denied)


def _identity(access: Access) -> tuple[str, ...]:
    return tuple(key_of(Decision(access, Cause.RULE))[:4])


def granted(before: PolicyIndex, after: PolicyIndex) -> Granted:
    """What `after` grants and `before` does not."""
    old = {rule for part in before.candidates for rule in part.rules}
    fresh = [rule for part in after.candidates for rule in part.rules if rule not in old]
    grants = {
        grant
        for rule in fresh
        for source_ in after.members(rule.source)
        for grant in _pairs(rule, source_, after)
    }
    for name in after.own_types:
        for attribute in after.attributes_of(name) - before.attributes_of(name):
            grants |= {grant for rule in after.written_for(attribute) for grant in _pairs(rule, name, after)}
    return frozenset(grant for grant in grants if grant[3] not in before.permissions(*grant[:3]))


def _pairs(rule: Rule, source_: str, index: PolicyIndex) -> Iterator[tuple[str, str, str, str]]:
    if rule.kind == "allow" and not rule.condition:
        targets = {source_} if rule.target == SELF else index.members(rule.target)
        yield from (
            (source_, target, rule.tclass, permission)
            for target in targets
            for permission in rule.permissions
        )


if __name__ == "__main__":
    main()
