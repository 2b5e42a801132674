"""Advice for denials, from the policy in force."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from selab.advice.booleans import booleans_for
from selab.advice.denied_access import DeniedAccess
from selab.advice.interfaces import Asked, interfaces_for
from selab.advice.knowledge import PolicyKnowledge
from selab.advice.remedy import Kind, Remedy
from selab.policy.query.decide import Cause
from selab.policy.query.risk import Level, Risk, risk_of

GENEROUS = 8
"""Permissions beyond what was asked from which on an interface is no better than the rule itself."""
PORT = "port_type"
UNLABELED = "unlabeled_t"
"""What the kernel takes a file for whose label is missing or unknown (initial SID `unlabeled`)."""
_PORT_NUMBER = re.compile(r"\b(?:src|dest)=(\d+)")
# What the reference policy's domain_transition_pattern hides by dontaudit in every transition: none of them stops one.
_HIDDEN_ON_PURPOSE = frozenset({"noatsecure", "rlimitinh", "siginh"})
_NO_NEW_PRIVILEGES = ("nnp_transition", "nosuid_transition")


@dataclass(frozen=True)
class Volume:
    """A place in the container that the scenario mounts; `guest_path` is what of the machine it is, where it is not a copy."""

    target: str
    guest_path: str = ""


@dataclass(frozen=True)
class Situation:
    """What is known of the run beside its denials: the container's domain, whose paths are its own and not the machine's; its volumes; the
    type that container runtimes give to files; and whether all steps went well although the accesses were denied."""

    domain: str = ""
    volumes: tuple[Volume, ...] = ()
    volume_type: str = ""
    works_without: bool = False


@dataclass(frozen=True)
class Advice:
    """For one row of denials: what stopped it, and the remedies, the best first. `allowed_now`: the candidate has been mended since."""

    need: DeniedAccess
    stopped: str
    cause: Cause
    remedies: tuple[Remedy, ...]

    @property
    def allowed_now(self) -> bool:
        return self.cause is Cause.NONE

    @property
    def best(self) -> Remedy | None:
        return self.remedies[0] if self.remedies else None

    @property
    def in_a_line(self) -> str:
        """The remedy to begin with, or why there is none."""
        if self.allowed_now:
            return "allowed by the policy as it is on disk now"
        return self.best.in_words if self.best else self.stopped


def advise(
    needs: Sequence[DeniedAccess],
    expert: PolicyKnowledge,
    causes: Mapping[int, Cause],
    situation: Situation = Situation(),
) -> list[Advice]:
    """Advice for each need; `causes` has what libsepol says stops it, by the need's number."""
    asked: dict[tuple[str, str, str], frozenset[str]] = {}
    for need in needs:
        asked[need.key] = asked.get(need.key, frozenset()) | need.permissions
    return [_advice(need, expert, causes.get(need.number, Cause.RULE), situation, asked) for need in needs]


def _advice(
    need: DeniedAccess, expert: PolicyKnowledge, cause: Cause, situation: Situation, asked: Asked
) -> Advice:
    if cause is Cause.NONE:
        return Advice(need, "nothing any more", cause, ())
    if need.separated or cause is Cause.MCS:
        return Advice(
            need,
            "MCS separation: the categories of the two differ, and no allow rule helps",
            Cause.MCS,
            tuple(_apart(need, situation)),
        )
    if set(need.permissions) & set(_NO_NEW_PRIVILEGES):
        return Advice(
            need,
            "no-new-privileges: the process may not gain rights by a transition",
            cause,
            tuple(_nnp(need)),
        )
    if need.hidden and need.tclass == "process" and need.permissions <= _HIDDEN_ON_PURPOSE:
        leave = Remedy(Kind.LEAVE, "Leave it denied", "every transition asks for it, none needs it")
        return Advice(need, "a dontaudit rule, on purpose", cause, (leave,))
    remedies = sorted(_remedies(need, expert, cause, situation, asked), key=_order)
    return Advice(need, _stopped(need, cause, expert, remedies), cause, tuple(remedies))


def _order(remedy: Remedy) -> tuple[int, int, int]:
    """By kind; but far more than was asked comes after the rule itself, and what opens a way out after leaving it denied, unless the policy
    has it for this domain."""
    kinds = list(Kind)
    place = kinds.index(remedy.kind)
    if remedy.kind is Kind.INTERFACE and remedy.excess > GENEROUS:
        place = kinds.index(Kind.RULE)
    if remedy.kind is Kind.LEAVE:
        place = -1 if remedy.risk.level is Level.HIGH else place
    if remedy.meant and remedy.risk.level is Level.HIGH:
        place = -2
    return place, int(remedy.risk.level), remedy.excess


def _stopped(need: DeniedAccess, cause: Cause, expert: PolicyKnowledge, remedies: Sequence[Remedy]) -> str:
    hidden = "; a dontaudit rule hides it" if need.hidden else ""
    if remedies and remedies[0].kind is Kind.RELABEL:
        return f"a label: {remedies[0].why}{hidden}"
    if cause is Cause.CONSTRAINT:
        return f"a constraint of the policy, which no allow rule lifts{hidden}"
    if cause is Cause.ROLE:
        return f"the role: it may not have the new domain{hidden}"
    if cause is Cause.BOUNDS:
        return f"a type bound: the domain may do no more than the one that it is bounded by{hidden}"
    if cause is Cause.UNKNOWN:
        unknown = [
            name
            for name in (need.source, need.target)
            if expert.index.resolve(name) not in expert.index.types
        ]
        return f"it cannot be told: the policy has no {' and no '.join(unknown) or f'such permission of {need.tclass}'}{hidden}"
    if any(remedy.kind is Kind.BOOLEAN for remedy in remedies):
        return f"a boolean that is not set for it{hidden}"
    return f"a missing rule{hidden}"


def _apart(need: DeniedAccess, situation: Situation) -> Iterator[Remedy]:
    volume = _volume_of(need, situation)
    if volume and not volume.guest_path:
        yield Remedy(
            Kind.RELABEL,
            f"label: private  (the volume {volume.target})",
            "the volume has another container's categories",
        )
    yield Remedy(
        Kind.LEAVE, "Leave it denied", "it belongs to another container, or shared data needs `label: shared`"
    )


def _nnp(need: DeniedAccess) -> Iterator[Remedy]:
    yield Remedy(
        Kind.RULE,
        f"allow {need};",
        "or start the container without no-new-privileges",
        requires=(("type", need.target),),
    )


def _remedies(
    need: DeniedAccess, expert: PolicyKnowledge, cause: Cause, situation: Situation, asked: Asked
) -> Iterator[Remedy]:
    """Of the interfaces none is offered that is more dangerous than the rule itself, which it only widens."""
    risk = risk_of(expert.index, need.source, need.target, need.tclass, need.permissions)
    booleans = booleans_for(need, expert, risk) if cause in (Cause.RULE, Cause.BOOLEAN) else []
    yield from _labels(need, expert, situation)
    if not (
        booleans and "name_connect" in need.permissions
    ):  # a port of others has the type that it should have
        yield from _port(need, expert)
    yield from booleans
    if cause in (Cause.RULE, Cause.BOOLEAN):
        yield from (
            remedy for remedy in interfaces_for(need, expert, asked) if remedy.risk.level <= risk.level
        )
        yield _rule(need, expert, risk)
    yield _leave(need, situation, risk)


def _labels(need: DeniedAccess, expert: PolicyKnowledge, situation: Situation) -> Iterator[Remedy]:
    """A volume that is labelled otherwise than containers may use, or a file that is labelled otherwise than its path says."""
    volume = _volume_of(need, situation)
    if volume and volume.guest_path:
        yield from _restored(need, volume.guest_path + need.path.removeprefix(volume.target), expert)
    elif volume:
        could = expert.index.permissions(need.source, situation.volume_type, need.tclass)
        if situation.volume_type != need.target and need.permissions <= could:
            why = f"{need.path or volume.target} is labelled {need.target}; as {situation.volume_type} it would be allowed"
            yield Remedy(Kind.RELABEL, f"label: private  (the volume {volume.target})", why)
    elif need.path.startswith("/") and need.source != situation.domain:
        yield from _restored(need, need.path, expert)


def _restored(need: DeniedAccess, path: str, expert: PolicyKnowledge) -> Iterator[Remedy]:
    """The label that the file contexts give to a file of the machine, if it has another one and would be allowed with it."""
    expected = expert.file_type(path)
    if not _can_be_relabelled(need.target, expert) or expected in ("", need.target):
        return
    if need.permissions <= expert.index.permissions(need.source, expected, need.tclass):
        yield Remedy(
            Kind.RELABEL,
            f"restorecon -v {path}",
            f"{path} is labelled {need.target}; the file contexts say {expected}",
        )


def _can_be_relabelled(name: str, expert: PolicyKnowledge) -> bool:
    """Whether a file of this type has a label of its own: in noxattrfs are the types of whole file systems that keep none."""
    return name == UNLABELED or name in expert.index.members("file_type") - expert.index.members("noxattrfs")


def _port(need: DeniedAccess, expert: PolicyKnowledge) -> Iterator[Remedy]:
    """A port of another type, where the domain may use ports of a type that is named like it."""
    number = _PORT_NUMBER.search(need.detail)
    if (
        need.target not in expert.index.members(PORT)
        or not number
        or not need.permissions <= {"name_bind", "name_connect"}
    ):
        return
    stem = need.source.removesuffix("_t").rsplit("_", 1)[-1].removesuffix("d")
    for one in sorted(expert.index.members(PORT)):
        if one.startswith(stem) and need.permissions <= expert.index.permissions(
            need.source, one, need.tclass
        ):
            protocol = need.tclass.split("_", 1)[0]
            why = f"port {number[1]} is labelled {need.target}; {need.source} may use {one}"
            yield Remedy(Kind.RELABEL, f"semanage port -a -t {one} -p {protocol} {number[1]}", why)
            return


def _volume_of(need: DeniedAccess, situation: Situation) -> Volume | None:
    if need.source != situation.domain:
        return None
    inside = (
        one for one in situation.volumes if need.path == one.target or need.path.startswith(f"{one.target}/")
    )
    return next(inside, None)


def _rule(need: DeniedAccess, expert: PolicyKnowledge, risk: Risk) -> Remedy:
    foreign = dict.fromkeys(name for name in (need.source, need.target) if name not in expert.index.own_types)
    return Remedy(Kind.RULE, f"allow {need};", risk=risk, requires=tuple(("type", name) for name in foreign))


def _leave(need: DeniedAccess, situation: Situation, risk: Risk) -> Remedy:
    """To leave it is the best where allowing it is dangerous."""
    why = "the steps went well without it" if situation.works_without else "if the workload can do without it"
    return Remedy(Kind.LEAVE, f"dontaudit {need};", why, risk)


def applicable(advice: Iterable[Advice], *, risky: bool = False) -> list[tuple[Advice, Remedy]]:
    """For each the best remedy that is a line of policy, without those of high risk unless `risky`, and without those that another of the
    chosen lines makes needless."""
    chosen = []
    for one in advice:
        found = next(
            (remedy for remedy in one.remedies if remedy.is_policy and (risky or not remedy.is_risky)), None
        )
        if found and (one.best is None or one.best.kind not in (Kind.RELABEL, Kind.BOOLEAN)):
            chosen.append((one, found))
    return _without_needless(chosen)


def _without_needless(chosen: list[tuple[Advice, Remedy]]) -> list[tuple[Advice, Remedy]]:
    """An interface that covers most is asked first whether it covers others; one that is needless itself covers nothing."""
    needless: set[int] = set()
    for number, (_, remedy) in sorted(enumerate(chosen), key=lambda pair: -len(pair[1][1].covers)):
        if number not in needless:
            others = (
                (other, one.need)
                for other, (one, theirs) in enumerate(chosen)
                if other != number and theirs.text != remedy.text
            )
            needless |= {other for other, need in others if need.key in remedy.covers}
    return [each for number, each in enumerate(chosen) if number not in needless]
