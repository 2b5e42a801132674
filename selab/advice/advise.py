"""Advise on denials, from the policy in force."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from selab.advice.attributes import attributes_for
from selab.advice.booleans import booleans_for
from selab.advice.commands import missing_permissions, rules, unlisted
from selab.advice.denied_access import DeniedAccess
from selab.advice.interfaces import Requested, interfaces_for
from selab.advice.knowledge import PolicyKnowledge
from selab.advice.remedy import Kind, Remedy
from selab.auditlog.classification import Classification
from selab.policy.language.commands import in_te
from selab.policy.language.declarations import NLMSG
from selab.policy.language.statements import braced
from selab.policy.query.decide import Cause
from selab.policy.query.risk import Level, Risk, risk_of

GENEROUS = 8
"""An interface with more excess permissions than this is not preferred to the rule itself."""
PORT = "port_type"
DENIED = "a deny rule of the policy, which no allow rule overrides"
UNLABELED = "unlabeled_t"
"""The kernel uses this type for a file whose label is missing or unknown (initial SID `unlabeled`)."""
_PORT_NUMBER = re.compile(r"\b(?:src|dest)=(\d+)")
# The reference policy's domain_transition_pattern hides these by dontaudit; none of them blocks a transition.
_HIDDEN_ON_PURPOSE = frozenset({"noatsecure", "rlimitinh", "siginh"})
_NO_NEW_PRIVILEGES = ("nnp_transition", "nosuid_transition")


@dataclass(frozen=True)
class Volume:
    """A place in the container that the scenario mounts.

    target: path in the container.
    guest_path: directory of the guest that is mounted, or empty if the volume is a copy.
    """

    target: str
    guest_path: str = ""


@dataclass(frozen=True)
class Situation:
    """What is known about the run besides its denials.

    domain: domain of the container, whose paths are not paths of the machine.
    volumes: volumes of the scenario.
    volume_type: type that container runtimes give to files.
    works_without: whether all steps succeeded although the accesses were denied.
    """

    domain: str = ""
    volumes: tuple[Volume, ...] = ()
    volume_type: str = ""
    works_without: bool = False


@dataclass(frozen=True)
class Advice:
    """Advice on one row of denials.

    need: denied access.
    stopped: what blocks it, as text.
    cause: what blocks it; NONE if the candidate has been fixed since.
    remedies: what to do, the best first.
    """

    need: DeniedAccess
    stopped: str
    cause: Cause
    remedies: tuple[Remedy, ...]

    @property
    def allowed_now(self) -> bool:
        return self.cause is Cause.NONE

    @property
    def settled(self) -> bool:
        """Return whether an entry of the scenario tolerates or expects the denial, so nothing need change."""
        return self.need.ruling.stays_denied

    @property
    def wrongly_allowed(self) -> bool:
        """Return whether the policy allows now what the scenario expects to be denied."""
        return self.allowed_now and self.need.ruling.classification is Classification.EXPECTED

    @property
    def best(self) -> Remedy | None:
        return self.remedies[0] if self.remedies else None

    @property
    def in_a_line(self) -> str:
        """Return the best remedy, or why there is none."""
        if self.wrongly_allowed:
            return f"allowed by the policy as it is on disk now, but {self.need.ruling.in_words}"
        if self.allowed_now:
            return "allowed by the policy as it is on disk now"
        return self.best.in_words if self.best else self.stopped


def advise(
    needs: Sequence[DeniedAccess],
    policy: PolicyKnowledge,
    causes: Mapping[int, Cause],
    situation: Situation = Situation(),
) -> list[Advice]:
    """Advise on each of `needs`; `causes` has what blocks it according to libsepol, by its number."""
    requested = _permissions(need for need in needs if not need.ruling.stays_denied)
    expected = _permissions(need for need in needs if need.ruling.classification is Classification.EXPECTED)
    return [
        _unless_settled(
            _advice(need, policy, causes.get(need.number, Cause.RULE), situation, requested, expected),
            situation,
        )
        for need in needs
    ]


def _unless_settled(advice: Advice, situation: Situation) -> Advice:
    """Return the advice, or to leave the access denied if an entry of the scenario says that it may be."""
    if not advice.settled or advice.allowed_now:
        return advice
    without = "; the steps succeeded without it" if situation.works_without else ""
    leave = Remedy(Kind.LEAVE, "Leave it denied", f"{advice.need.ruling.in_words}{without}")
    return replace(advice, remedies=(leave,))


def _permissions(needs: Iterable[DeniedAccess]) -> Requested:
    """Return the permissions of all `needs` together."""
    together: dict[tuple[str, str, str], frozenset[str]] = {}
    for need in needs:
        together[need.key] = together.get(need.key, frozenset()) | need.permissions
    return together


def _advice(
    need: DeniedAccess,
    policy: PolicyKnowledge,
    cause: Cause,
    situation: Situation,
    requested: Requested,
    expected: Requested,
) -> Advice:
    if cause is Cause.NONE:
        return Advice(need, "nothing: the policy allows it now", cause, ())
    if NLMSG in need.permissions and need.tclass in policy.index.by_message:
        stopped = "unknown: selab does not evaluate extended rules about netlink messages (nlmsg)"
        return Advice(need, stopped, Cause.UNKNOWN, ())
    if need.separated or cause is Cause.MCS:
        return Advice(
            need,
            "MCS separation: the categories of both sides differ, and no allow rule helps",
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
        leave = Remedy(Kind.LEAVE, "Leave it denied", "every transition requests it, and none needs it")
        return Advice(need, "a deliberate dontaudit rule", cause, (leave,))
    denied = need.permissions & policy.index.denied(need.source, need.target, need.tclass)
    left = replace(need, permissions=need.permissions - denied) if denied else need
    if not left.permissions:
        return Advice(need, DENIED, cause, (Remedy(Kind.LEAVE, "Leave it denied", DENIED),))
    remedies = sorted(_remedies(left, policy, cause, situation, requested, expected), key=_order)
    stopped = _stopped(left, cause, policy, remedies)
    if denied:
        stopped = f"{stopped}; for {braced(denied)}, {DENIED}"
    return Advice(need, stopped, cause, tuple(remedies))


def _order(remedy: Remedy) -> tuple[int, int, bool, int]:
    """Return the sort key of a remedy, which mostly follows its kind.

    A generous interface or macro, or one of another domain, comes after the rule itself. So does a block,
    unless it brings little and of a low risk. The attribute by which others enter a domain comes before a
    rule, and any other attribute comes last. A high risk comes after leaving the access denied, unless the
    policy has the remedy for this very domain.
    """
    kinds = list(Kind)
    place = kinds.index(remedy.kind)
    generous = remedy.excess > GENEROUS or remedy.foreign
    if remedy.kind in (Kind.INTERFACE, Kind.MACRO) and generous:
        place = kinds.index(Kind.RULE)
    if remedy.kind is Kind.BLOCK and not generous and remedy.risk.level is Level.LOW:
        place = kinds.index(Kind.INTERFACE)
    if remedy.kind is Kind.ATTRIBUTE and not remedy.meant:
        place = kinds.index(Kind.LEAVE)
    if remedy.kind is Kind.ATTRIBUTE and remedy.meant:
        return kinds.index(Kind.INTERFACE), 0, False, 0
    if remedy.kind is Kind.LEAVE:
        place = -1 if remedy.risk.level is Level.HIGH else place
    if remedy.meant and remedy.risk.level is Level.HIGH:
        place = -2
    return place, int(remedy.risk.level), remedy.modifies, remedy.excess


def _stopped(need: DeniedAccess, cause: Cause, policy: PolicyKnowledge, remedies: Sequence[Remedy]) -> str:
    hidden = "; a dontaudit rule hides it" if need.hidden else ""
    if remedies and remedies[0].kind is Kind.RELABEL:
        return f"a label: {remedies[0].why}{hidden}"
    if cause is Cause.CONSTRAINT:
        return f"a constraint of the policy, which no allow rule overrides{hidden}"
    if cause is Cause.COMMAND:
        return f"an ioctl command that no allowxperm rule lists: {in_te(unlisted(need, policy))}{hidden}"
    if cause is Cause.ROLE:
        return f"the role: it is not allowed the new domain{hidden}"
    if cause is Cause.BOUNDS:
        return f"a type bound: the domain may do no more than the domain that bounds it{hidden}"
    if cause is Cause.UNKNOWN:
        unknown = [
            name
            for name in (need.source, need.target)
            if policy.index.resolve(name) not in policy.index.types
        ]
        lacking = " and no ".join(unknown) or f"such permission of {need.tclass}"
        return f"unknown: the policy has no {lacking}{hidden}"
    if any(remedy.kind is Kind.BOOLEAN for remedy in remedies):
        return f"a boolean with the wrong value{hidden}"
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
        Kind.LEAVE,
        "Leave it denied",
        "the file belongs to another container; data that containers share needs `label: shared`",
    )


def _nnp(need: DeniedAccess) -> Iterator[Remedy]:
    yield Remedy(
        Kind.RULE,
        f"allow {need};",
        "or start the container without no-new-privileges",
        requires=(("type", need.target),),
    )


def _remedies(
    need: DeniedAccess,
    policy: PolicyKnowledge,
    cause: Cause,
    situation: Situation,
    requested: Requested,
    expected: Requested,
) -> Iterator[Remedy]:
    """Yield the remedies.

    An interface or macro that is more dangerous than the rule itself is not offered, nor is anything that
    would allow an access whose denial the scenario expects (`expected`).
    """
    risk = risk_of(policy.index, need.source, need.target, need.tclass, need.permissions)
    # No interface and no boolean lists a command.
    by_call = cause in (Cause.RULE, Cause.BOOLEAN) and not unlisted(need, policy)
    booleans = booleans_for(need, policy, risk) if by_call else []
    yield from _labels(need, policy, situation)
    # A port that a boolean lets the domain connect to has the right type.
    if not (booleans and "name_connect" in need.permissions):
        yield from _port(need, policy)
    yield from booleans
    if need.permissions & expected.get(need.key, frozenset()):
        why = "a rule would also allow the same access to an object whose denial the scenario expects"
        yield Remedy(Kind.LEAVE, "Leave it denied", why)
        return
    if by_call:
        yield from (
            remedy
            for remedy in interfaces_for(need, policy, requested, expected)
            if remedy.risk.level <= risk.level or remedy.kind is Kind.BLOCK
        )
        yield from (
            remedy
            for remedy in attributes_for(need, policy, requested, expected)
            if remedy.risk.level <= risk.level or remedy.meant
        )
    if cause in (Cause.RULE, Cause.BOOLEAN, Cause.COMMAND):
        yield _rule(need, policy, risk)
    yield _leave(need, policy, situation, risk)


def _labels(need: DeniedAccess, policy: PolicyKnowledge, situation: Situation) -> Iterator[Remedy]:
    """Advise to relabel a volume that containers may not use, or a file whose label is wrong."""
    volume = _volume_of(need, situation)
    if volume and volume.guest_path:
        yield from _restored(need, volume.guest_path + need.path.removeprefix(volume.target), policy)
    elif volume:
        if situation.volume_type != need.target and _allowed_on(situation.volume_type, need, policy):
            path = need.path or volume.target
            why = f"{path} is labelled {need.target}; as {situation.volume_type} it would be allowed"
            yield Remedy(Kind.RELABEL, f"label: private  (the volume {volume.target})", why)
    elif need.path.startswith("/") and need.source != situation.domain:
        yield from _restored(need, need.path, policy)


def _restored(need: DeniedAccess, path: str, policy: PolicyKnowledge) -> Iterator[Remedy]:
    """Advise to restore the label of a file of the machine if the access would then be allowed."""
    expected = policy.file_type(path)
    if not _can_be_relabelled(need.target, policy) or expected in ("", need.target):
        return
    if _allowed_on(expected, need, policy):
        yield Remedy(
            Kind.RELABEL,
            f"restorecon -v {path}",
            f"{path} is labelled {need.target}; the file contexts say {expected}",
        )


def _allowed_on(target: str, need: DeniedAccess, policy: PolicyKnowledge) -> bool:
    """Return whether rules would allow the access to an object of the type `target`."""
    granted = policy.index.permissions(need.source, target, need.tclass)
    return need.permissions <= granted and not unlisted(need, policy, target)


def _can_be_relabelled(name: str, policy: PolicyKnowledge) -> bool:
    """Return whether a file of this type has its own label: file systems of noxattrfs types store none."""
    return name == UNLABELED or name in policy.index.members("file_type") - policy.index.members("noxattrfs")


def _port(need: DeniedAccess, policy: PolicyKnowledge) -> Iterator[Remedy]:
    """Advise to label a port with a type that the domain may use and whose name resembles the domain's."""
    number = _PORT_NUMBER.search(need.detail)
    if (
        need.target not in policy.index.members(PORT)
        or not number
        or not need.permissions <= {"name_bind", "name_connect"}
    ):
        return
    stem = need.source.removesuffix("_t").rsplit("_", 1)[-1].removesuffix("d")
    for port_type in sorted(policy.index.members(PORT)):
        if port_type.startswith(stem) and need.permissions <= policy.index.permissions(
            need.source, port_type, need.tclass
        ):
            protocol = need.tclass.split("_", 1)[0]
            why = f"port {number[1]} is labelled {need.target}; {need.source} may use {port_type}"
            yield Remedy(Kind.RELABEL, f"semanage port -a -t {port_type} -p {protocol} {number[1]}", why)
            return


def _volume_of(need: DeniedAccess, situation: Situation) -> Volume | None:
    if need.source != situation.domain:
        return None
    inside = (
        volume
        for volume in situation.volumes
        if need.path == volume.target or need.path.startswith(f"{volume.target}/")
    )
    return next(inside, None)


def _rule(need: DeniedAccess, policy: PolicyKnowledge, risk: Risk) -> Remedy:
    foreign = dict.fromkeys(name for name in (need.source, need.target) if name not in policy.index.own_types)
    permissions, commands = missing_permissions(need, policy), unlisted(need, policy)
    return Remedy(
        Kind.RULE,
        rules("allow", need, permissions, commands),
        risk=risk,
        requires=tuple(("type", name) for name in foreign),
        permissions=permissions,
        commands=commands,
    )


def _leave(need: DeniedAccess, policy: PolicyKnowledge, situation: Situation, risk: Risk) -> Remedy:
    """Advise to leave the access denied, which is the best remedy if allowing it is dangerous."""
    why = "the steps succeeded without it" if situation.works_without else "if the workload can do without it"
    hiding = rules("dontaudit", need, missing_permissions(need, policy), unlisted(need, policy))
    return Remedy(Kind.LEAVE, hiding, why, risk)


def applicable(advice: Iterable[Advice], *, risky: bool = False) -> list[tuple[Advice, Remedy]]:
    """Return the best policy line for each denial.

    Lines of high risk are left out unless `risky`, and so are lines that another chosen line makes redundant.
    """
    chosen = []
    for advised in advice:
        best_line = next(
            (remedy for remedy in advised.remedies if remedy.is_policy and (risky or not remedy.is_risky)),
            None,
        )
        if best_line and (advised.best is None or advised.best.kind not in (Kind.RELABEL, Kind.BOOLEAN)):
            chosen.append((advised, best_line))
    return _without_needless(chosen)


def _without_needless(chosen: list[tuple[Advice, Remedy]]) -> list[tuple[Advice, Remedy]]:
    """Drop redundant lines. An interface that covers most denials is considered first."""
    needless: set[int] = set()
    for number, (_, remedy) in sorted(enumerate(chosen), key=lambda pair: -len(pair[1][1].covers)):
        if number not in needless:
            others = (
                (other, advised.need)
                for other, (advised, theirs) in enumerate(chosen)
                if other != number and theirs.text != remedy.text
            )
            needless |= {other for other, need in others if need.key in remedy.covers}
    return [each for number, each in enumerate(chosen) if number not in needless]
