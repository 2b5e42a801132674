"""Make the document of a run that has ended, and read a stored one, which an older selab may have made."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from selab.auditlog.classification import UNEXPECTED, Ruling
from selab.auditlog.denials import Denial
from selab.run.document import (
    ClassifiedDenialEntry,
    ContainerEntry,
    DenialEntry,
    LabelEntry,
    MissingDenialEntry,
    RunDocument,
    SelinuxErrorEntry,
    StepEntry,
)
from selab.run.experiment import Run
from selab.run.outcome import ContainerOutcome
from selab.run.request import NO_POLICY
from selab.run.verdict import ClassifiedDenial, Classifier, MissingDenial
from selab.scenario.expect import Expect


def document_of(run: Run) -> RunDocument:
    """Return the document of a run that has just ended."""
    attribution = run.attribution
    errors: Sequence[dict[str, Any]] = [error.to_json() for error in attribution.errors]
    return RunDocument(
        run=run.id,
        started=run.started,
        scenario=run.plan.scenario.name,
        mode=run.plan.mode,
        policy=run.plan.policy,
        sources=_digest([module.digest_of_all for module in run.plan.modules]),
        digest=run.loaded.digest,
        base=run.base_fingerprint,
        label=_label(run.outcome.containers[0]),
        containers=_containers(run),
        steps=tuple(
            StepEntry(name=step.name, ok=step.ok, seconds=round(step.seconds, 3), detail=step.detail)
            for step in run.outcome.steps
        ),
        denials=_classified(run.denials.rows),
        missing=_missing(run.denials.missing),
        hidden=_classified(run.hidden),
        runtime=_entries(attribution.runtime),
        machine=_entries(attribution.machine),
        selinux_errors=tuple(SelinuxErrorEntry.model_validate(error) for error in errors),
        log=run.outcome.log,
        notes=run.notes,
        verdict=run.verdict,
        reasons=run.reasons,
        timings=run.timings,
        seconds=run.seconds,
    )


def _digest(digests: Sequence[str]) -> str:
    """Return the digest of the sources of all candidates: that of the only one, or a digest of digests."""
    if len(digests) < 2:
        return "".join(digests)
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def _label(container: ContainerOutcome) -> LabelEntry:
    return LabelEntry(
        requested=container.label.context,
        actual=" ".join(sorted(container.labels)),
        from_denials=container.from_denials,
    )


def _containers(run: Run) -> tuple[ContainerEntry, ...]:
    """Return an entry for each of several containers."""
    policies = {each.title: each.module.name if each.module else NO_POLICY for each in run.plan.containers}
    return tuple(
        ContainerEntry(
            name=each.title,
            policy=policies[each.title],
            label=_label(each),
            refused=each.refused,
            ended=each.ended,
        )
        for each in run.outcome.containers
        if each.title
    )


def _entries(denials: Sequence[Denial]) -> tuple[DenialEntry, ...]:
    return tuple(DenialEntry.model_validate(denial.to_json()) for denial in denials)


def _classified(rows: Iterable[ClassifiedDenial]) -> tuple[ClassifiedDenialEntry, ...]:
    return tuple(
        ClassifiedDenialEntry.model_validate(
            {**row.denial.to_json(), **row.ruling.to_json(), "containers": row.containers}
        )
        for row in rows
    )


def _missing(denials: Iterable[MissingDenial]) -> tuple[MissingDenialEntry, ...]:
    return tuple(MissingDenialEntry(entry=denial.entry, reason=denial.reason) for denial in denials)


def stored_document(text: str, scenario: Mapping[str, Any]) -> RunDocument:
    """Read the document of a stored run of `scenario`, which is as the user wrote it.

    A document of an older selab does not classify its denials. The scenario's expectations then classify
    them; if these are unreadable, all denials are unexpected.
    """
    document = RunDocument.model_validate_json(text)
    if "missing" in document.model_fields_set:
        return document
    try:
        expect = Expect.model_validate(scenario.get("expect", {}))
    except ValidationError:
        expect = Expect()
    classifier = Classifier(expect)
    denials = _split(document.denials, classifier)
    missing = _missing(classifier.missing)
    hidden = _split(document.hidden, classifier)
    return document.model_copy(update={"denials": denials, "missing": missing, "hidden": hidden})


def _split(
    denials: Iterable[ClassifiedDenialEntry], classifier: Classifier
) -> tuple[ClassifiedDenialEntry, ...]:
    """Split each row of an older document by the rulings on its permissions, the unexpected ones first."""
    rows = [row for denial in denials for row in _by_ruling(denial, classifier)]
    return tuple(sorted(rows, key=lambda row: row.classification.order))


def _by_ruling(denial: ClassifiedDenialEntry, classifier: Classifier) -> Iterator[ClassifiedDenialEntry]:
    permissions: dict[Ruling, list[str]] = {}
    for key in denial.keys:
        permissions.setdefault(classifier.ruling_on(key, denial.path), []).append(key.permission)
    for ruling, names in (permissions or {UNEXPECTED: []}).items():
        yield denial.model_copy(
            update={
                "permissions": tuple(names),
                "classification": ruling.classification,
                "entry": ruling.entry,
                "reason": ruling.reason,
            }
        )
