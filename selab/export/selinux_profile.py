"""Export a profile of the security-profiles-operator.

The operator makes of a SelinuxProfile a block of CIL with the profile's name, which inherits `container` and
what the profile names, and has an `allow` rule for each type and class (internal/pkg/translator/obj2cil.go).
What such rules cannot express becomes a RawSelinuxProfile, whose text the operator puts into a block.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from selab.errors import InputError
from selab.export.files import Exported, ExportedFile
from selab.export.material import Material
from selab.export.node_config import kubernetes_name
from selab.export.yaml_text import yaml_text
from selab.policy.compile_cil import NAMING
from selab.policy.container_template import template_parts
from selab.policy.language.cil import OPERATORS, Node, statements, text_of
from selab.policy.language.cil_names import PROCESS
from selab.policy.module import PolicyModule, parsed
from selab.policy.selinux_profile import API, CONTAINER, SELF, refused

REQUIRE = "cil_gen_require"
"""The attribute that marks what a compiled .te requires; it grants nothing."""
MAX_POLICY = 500_000
"""Characters of a RawSelinuxProfile that the API accepts."""


class _Inexpressible(Exception):
    """A statement that no SelinuxProfile can express."""


@dataclass
class _Profile:
    """The content of a SelinuxProfile.

    inherit: the blocks that it inherits.
    allow: permissions by the target's type and class.
    """

    inherit: list[str] = field(default_factory=list)
    allow: dict[str, dict[str, list[str]]] = field(default_factory=dict)

    def add(self, target: str, access: Node) -> None:
        """Add a rule. Raises _Inexpressible if its class or permissions are an expression."""
        match access:
            case [str(tclass), [*permissions]] if permissions and not OPERATORS.intersection(
                each for each in permissions if isinstance(each, str)
            ):
                names = [each for each in permissions if isinstance(each, str)]
                if len(names) < len(permissions):
                    raise _Inexpressible
                of_class = self.allow.setdefault(target, {}).setdefault(tclass, [])
                of_class += [name for name in names if name not in of_class]
            case _:
                raise _Inexpressible

    @property
    def in_order(self) -> dict[str, dict[str, list[str]]]:
        """The rules in the order in which the operator writes them."""
        return {
            target: {tclass: sorted(permissions) for tclass, permissions in sorted(classes.items())}
            for target, classes in sorted(self.allow.items())
        }


def spo(material: Material) -> Exported:
    """Return a SelinuxProfile, or a RawSelinuxProfile if the policy has more than rules of its domain.

    Raises InputError if the policy requires other policies, which a profile cannot contain.
    """
    module = material.module
    if others := [each.name for each in module.requires if not each.is_template]:
        raise InputError(
            f"The policy '{module.name}' cannot be a single profile.",
            f"It requires {', '.join(others)}.",
            "Export it with `--as machineconfig`, which installs all of them.",
        )
    name = kubernetes_name(module.name)
    try:
        profile = _of_cil(module) if module.language == "cil" else _of_te(material)
    except _Inexpressible:
        return _raw(name, material)
    spec = {
        "inherit": [{"kind": "System", "name": block} for block in profile.inherit],
        "allow": profile.in_order,
    }
    notes = [f"Pods name the type {name}.{PROCESS}. The operator must allow the inherited blocks."]
    if module.language == "te":
        notes.append(f"The operator's block {CONTAINER} takes the place of the policy's container template.")
    if words := refused(profile.allow):
        notes.append(f"The operator refuses this unless its configuration allows it: {', '.join(words)}.")
    return _exported("SelinuxProfile", name, material, spec, notes)


def _exported(
    kind: str, name: str, material: Material, spec: Mapping[str, object], notes: list[str]
) -> Exported:
    profile = {"apiVersion": API, "kind": kind, "metadata": {"name": name}, "spec": spec}
    file = ExportedFile(f"{name}.yaml", yaml_text([*material.proof.header, *notes], profile))
    return Exported([file], (f"kubectl apply -f {file.path}",), tuple(notes))


def _of_cil(module: PolicyModule) -> _Profile:
    """Read a policy as udica writes it: one block that inherits templates and has rules for its domain."""
    parsed(module)  # names the line of a fault
    profile = _Profile()
    match statements(module.texts["cil"].decode()):
        case [["block", module.name, *content]]:
            pass
        case _:
            raise _Inexpressible
    own = (PROCESS, f"{module.name}.{PROCESS}")
    for statement in content:
        match statement:
            case ["blockinherit", str(block)]:
                profile.inherit.append(block)
            case ["allow", str(source), str(target), access] if source in own:
                profile.add(SELF if target in (*own, "self") else target, access)
            case _:
                raise _Inexpressible
    if CONTAINER not in profile.inherit:
        # The operator would add it.
        raise _Inexpressible
    return profile


def _of_te(material: Material) -> _Profile:
    """Read the rules of a .te without those of the container template, of which the operator has its own."""
    module = material.module
    template = Counter(
        text
        for part in template_parts(module)
        for compiled in material.compiled_of(part)
        for text in map(_without_label, statements(compiled.cil))
    )
    if not template:
        raise _Inexpressible
    profile = _Profile([CONTAINER])
    for statement in statements(material.compiled[module.name].cil):
        if _is_requirement(statement):
            continue
        if template[text := _without_label(statement)]:
            # The author may have written the same rule again: the operator's block does not have to grant it.
            template[text] -= 1
            continue
        match statement:
            case ["allow", module.domain, str(target), access]:
                profile.add(SELF if target in ("self", module.domain) else target, access)
            case _:
                raise _Inexpressible
    return profile


def _without_label(statement: Node) -> str:
    """Return a statement as text, an optional without its name, which is a number in the module."""
    match statement:
        case ["optional", _, *content]:
            return text_of(["optional", *content])
    return text_of(statement)


def _is_requirement(statement: Node) -> bool:
    return isinstance(statement, list) and statement[1:2] == [REQUIRE]


def _raw(name: str, material: Material) -> Exported:
    """Return the whole policy as plain CIL that declares the domain as `process`, as the operator expects."""
    module = material.module
    plain = statements(material.compiled[module.name].cil)
    names = _renamed(module, plain)
    policy = "".join(f"{text_of(_with(names, each))}\n" for each in plain if not _is_requirement(each))
    if len(policy) > MAX_POLICY:
        raise InputError(
            f"The policy '{module.name}' is too large for a RawSelinuxProfile.",
            f"It has {len(policy)} characters of {MAX_POLICY}.",
            "Export it with `--as machineconfig`.",
        )
    notes = ["The profile is raw: the policy has more than rules of its domain for types and classes."]
    return _exported("RawSelinuxProfile", name, material, {"policy": policy}, notes)


def _renamed(module: PolicyModule, plain: list[Node]) -> dict[str, str]:
    """Return the new name of each name that the policy declares and a block cannot declare as it is.

    Raises InputError if the policy does not declare its domain, or if two names become one.
    """
    declared = [
        str(each[1]) for each in plain if isinstance(each, list) and len(each) > 1 and each[0] in NAMING
    ]
    if module.domain not in declared:
        raise InputError(
            f"The policy '{module.name}' does not declare the type {module.domain}.",
            "A profile is for the domain that a policy has by its name.",
            "Export it with `--as machineconfig`.",
        )
    names = {each: PROCESS if each == module.domain else each.replace(".", "_") for each in declared}
    if len(set(names.values())) < len(names):
        raise InputError(
            f"The names of the policy '{module.name}' cannot be those of one block.",
            f"Two of these would be one name: {', '.join(sorted(names))}.",
            "Rename one of them, or export the policy with `--as machineconfig`.",
        )
    return names


def _with(names: dict[str, str], node: Node) -> Node:
    return names.get(node, node) if isinstance(node, str) else [_with(names, each) for each in node]
