"""Read profiles of the security-profiles-operator as CIL, as the operator translates them.

The operator makes of a SelinuxProfile a block of CIL with the profile's name. The block inherits `container`,
unless it inherits another profile, and what else the profile names, and has an `allow` rule for each type and
class (internal/pkg/translator/obj2cil.go). It puts the text of a RawSelinuxProfile into such a block as it is
(internal/pkg/daemon/selinuxprofile/rawselinuxprofile.go). That file names the block after the profile and its
namespace, which profiles of the served versions do not have. Here the block has the name by which pods refer
to the profile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from selab.errors import InputError
from selab.host.yamlfile import UserModel, located

API = "security-profiles-operator.x-k8s.io/v1alpha2"
KINDS = ("SelinuxProfile", "RawSelinuxProfile")
SELF = "@self"
"""The operator's word for the profile's own domain."""
CONTAINER = "container"
"""The block that a SelinuxProfile inherits, whether it names it or not."""
REFUSED = {
    "type": frozenset({"kernel_t", "kmem_t", "security_t", "shadow_t"}),
    "class": frozenset({"capability", "capability2", "security", "system"}),
    "permission": frozenset({
        "load_policy", "mac_admin", "mounton", "relabelfrom", "relabelto", "setbool", "setenforce",
        "setsecparam",
    }),
}  # fmt: skip
"""What the operator refuses in a SelinuxProfile unless the cluster allows it (obj2cil.go, August 2026)."""

_WORD = r"[a-zA-Z0-9._-]+"
Word = Annotated[str, Field(pattern=f"^{_WORD}$", max_length=256)]
Label = Annotated[str, Field(pattern=f"^({_WORD}|{SELF})$", max_length=256)]
Allow = Mapping[str, Mapping[str, Sequence[str]]]
"""Permissions by the target's type, or SELF, and its class."""


class _Inherit(UserModel):
    """A block that a profile inherits.

    kind: whether the block is one of the system or another profile.
    name: its name.
    """

    kind: Literal["System", "SelinuxProfile"] = "System"
    name: Word


class _Spec(UserModel):
    """The content of a profile.

    inherit: blocks that it inherits.
    mode: whether its domain is permissive.
    permissive: the older form of `mode`.
    allow: permissions by type and class.
    policy: CIL of a RawSelinuxProfile.
    state: whether the operator uses it.
    """

    inherit: tuple[_Inherit, ...] = (_Inherit(name=CONTAINER),)
    mode: Literal["Enforcing", "Permissive"] = "Enforcing"
    permissive: bool = False
    allow: dict[Label, dict[Word, tuple[Word, ...]]] = {}
    policy: str = ""
    state: str = ""


class _Metadata(BaseModel):
    """The part of an object's metadata that counts; the rest is Kubernetes' own."""

    model_config = ConfigDict(frozen=True)

    name: Word


class _Profile(BaseModel):
    """A profile, in each version that the operator serves. Its status is ignored."""

    model_config = ConfigDict(frozen=True)

    apiVersion: Literal[
        "security-profiles-operator.x-k8s.io/v1", "security-profiles-operator.x-k8s.io/v1alpha2"
    ]
    kind: Literal["SelinuxProfile", "RawSelinuxProfile"]
    metadata: _Metadata
    spec: _Spec = _Spec()
    status: Any = None


class Lines:
    """Statements by the line of the profile that each comes from."""

    def __init__(self) -> None:
        self._parts: dict[int, list[str]] = {}

    def add(self, line: int, *texts: str) -> None:
        for offset, text in enumerate(texts):
            self._parts.setdefault(line + offset, []).append(text)

    def __str__(self) -> str:
        lines = range(1, max(self._parts) + 1)
        return "".join(f"{' '.join(self._parts.get(line, ()))}\n" for line in lines)


def translated(text: str, path: Path) -> str:
    """Return the CIL that the operator makes of the profile `text`, the content of the file `path`.

    Each statement is in the line of its source, so that a message about the CIL names the profile's line.
    Raises InputError if the file is no profile, or if the profile has not the file's name.
    """
    profile, line_of = located(text, path, _Profile)
    name = profile.metadata.name
    if name != path.stem:
        raise InputError(
            f"The profile '{name}' is in a file with a different name.",
            f"{path}:{line_of('metadata', 'name')}",
            f"Rename the file to {name}.yaml, or the profile to {path.stem}.",
        )
    lines = Lines()
    lines.add(1, f"(block {name}")
    if profile.kind == "RawSelinuxProfile":
        policy = profile.spec.policy.split("\n")
        # The text of a YAML block begins below its key.
        lines.add(line_of("spec", "policy") + (len(policy) > 1), *policy)
    else:
        for line, statement in _statements(profile.spec, name, line_of):
            lines.add(line, statement)
    return f"{lines})\n"


def _statements(spec: _Spec, name: str, line_of: Callable[..., int]) -> Iterator[tuple[int, str]]:
    inherited = [(line_of("spec", "inherit", number), each) for number, each in enumerate(spec.inherit)]
    if not any(each.kind == "SelinuxProfile" for _, each in inherited):
        yield line_of("spec"), f"(blockinherit {CONTAINER})"
    for line, each in inherited:
        if each.kind == "SelinuxProfile" or each.name != CONTAINER:
            yield line, f"(blockinherit {each.name})"
    if spec.permissive or spec.mode == "Permissive":
        yield line_of("spec", "mode"), "(typepermissive process)"
    for target, classes in sorted(spec.allow.items()):
        label = f"{name}.process" if target == SELF else target
        for tclass, permissions in sorted(classes.items()):
            line = line_of("spec", "allow", target, tclass)
            yield line, f"(allow process {label} ({tclass} ({' '.join(sorted(set(permissions)))})))"


def refused_at(text: str, path: Path) -> Iterator[tuple[int, str]]:
    """Yield what the operator refuses by default in the profile `text`, each with its line."""
    profile, line_of = located(text, path, _Profile)
    for target, classes in sorted(profile.spec.allow.items()):
        for tclass, permissions in sorted(classes.items()):
            for words in refused({target: {tclass: permissions}}):
                yield line_of("spec", "allow", target, tclass), words


def refused(allow: Allow) -> list[str]:
    """Return what the operator refuses by default, such as `class capability`, each once."""
    words = {
        (kind, word)
        for target, classes in allow.items()
        for tclass, permissions in classes.items()
        for kind, named in (("type", {target}), ("class", {tclass}), ("permission", {*permissions}))
        for word in named & REFUSED[kind]
    }
    return sorted(f"{kind} {word}" for kind, word in words)
