"""Find the enforcing run that proves a policy's text, and describe it in the header of each export."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass

from selab import __version__
from selab.errors import InputError
from selab.history import History
from selab.host.cache import cache_dir
from selab.policy.base import BasePolicy, known_base
from selab.policy.guest.load import Mode
from selab.policy.known_bases import imported_base
from selab.policy.module import PolicyModule
from selab.policy.on_base import on_base
from selab.project import Project
from selab.run.document import RunDocument
from selab.run.verdict import Verdict

STATED = 200
"""Characters of a fact that a header repeats."""
_UNSAFE = re.compile(r"[^A-Za-z0-9 .,:;()+_/-]")
"""What may have a meaning in a comment of m4, a spec file or a Dockerfile."""


@dataclass(frozen=True)
class Proof:
    """What is known about a policy's text.

    module: the policy as it is on disk, with the templates of the run's guest.
    run: the last enforcing run of this text, or None if there is none.
    base: the base policy of that run, or None if it is not in the cache.
    """

    module: PolicyModule
    run: RunDocument | None = None
    base: BasePolicy | None = None

    @property
    def is_proven(self) -> bool:
        """Whether the last enforcing run of this text was a PASS."""
        return self.run is not None and self.run.verdict is Verdict.PASS

    def require(self) -> None:
        """Raise InputError unless the policy is proven."""
        name = self.module.name
        hint = "Run its scenario with `--setenforce yes`, or add --unproven: the header then says so."
        if self.run is None:
            raise InputError(
                f"No enforcing run has proven the policy '{name}'.",
                "The history has no enforcing run with the text that is on disk, and with what it requires.",
                hint,
            )
        if not self.is_proven:
            reason = f": {self.run.reasons[0]}" if self.run.reasons else ""
            raise InputError(
                f"The last enforcing run of the policy '{name}' was a {self.run.verdict.value}.",
                f"{self.run.run}{reason}",
                hint,
            )

    def version(self, now: datetime.datetime) -> str:
        """Return a version for packages that increases with each run; without a proof it is below all others.

        It has digits and dots only, which each packager orders in the same way.
        """
        if self.run is not None and self.is_proven:
            return f"1.{self.run.started.astimezone(datetime.UTC):%Y%m%d.1%H%M%S}"
        return f"0.{now.astimezone(datetime.UTC):%Y%m%d.1%H%M%S}"

    @property
    def header(self) -> tuple[str, ...]:
        """Lines for a comment or a description, without a character that could have a meaning there."""
        what = f"SELinux policy module {self.module.name}, exported by selab {__version__}."
        return tuple(
            _plain(line)
            for line in (what, *self._run, f"Digest of its sources: {self.module.digest_of_all}.")
        )

    @property
    def _run(self) -> tuple[str, ...]:
        if self.run is None:
            return ("NOT PROVEN: selab knows no enforcing run of this text.",)
        date = self.run.started.astimezone(datetime.UTC)
        run = f"enforcing run {self.run.run} of {date:%Y-%m-%d %H:%M} UTC"
        result = (
            f"Proven by the {run}: PASS."
            if self.is_proven
            else f"NOT PROVEN: the last {run} was a {self.run.verdict.value}."
        )
        where = f"It ran the scenario {self.run.scenario} in the domain {self.run.label.type}."
        return (result, where, f"Base policy: {self._base}, fingerprint {self.run.base}.")

    @property
    def _base(self) -> str:
        if self.base is None:
            return "of a system that is no longer known"
        facts = self.base.facts
        return f"{facts.system or 'an unknown system'}, policy {facts.selinux_type}"


def proof_of(project: Project, module: PolicyModule) -> Proof:
    """Return what the project's history says about the module's text and that of all that it requires.

    A template of the guest is part of the text, so each run is compared with what the module is on its base.
    """
    on_bases: dict[str, tuple[BasePolicy | None, PolicyModule]] = {}
    for run in History.of(project).documents():
        if run.policy == module.name and run.mode is Mode.ENFORCING:
            if run.base not in on_bases:
                base = _base_of(run, project)
                on_bases[run.base] = base, on_base(module, base) if base else module
            base, on_it = on_bases[run.base]
            if run.sources == on_it.digest_of_all:
                return Proof(on_it, run, base)
    return Proof(module)


def _base_of(run: RunDocument, project: Project) -> BasePolicy | None:
    return known_base(run.base, cache_dir(), project.store) or imported_base(run.base, cache_dir())


def _plain(text: str) -> str:
    return _UNSAFE.sub("?", text[:STATED])
