"""Take templates for udica from the guest, whose base policy has copies of them.

container-selinux brings them to CentOS and Fedora. A policy must be tried out with the templates with which
the machine will enforce it, so they come before selab's own of the same names.
"""

from __future__ import annotations

from collections.abc import Iterable

from selab.errors import InputError
from selab.policy.base import BasePolicy
from selab.policy.module import (
    GUEST_TEMPLATES,
    OWN_TEMPLATES,
    PolicyModule,
    all_templates,
    in_order,
    with_templates,
)
from selab.project import Project


def guest_templates(base: BasePolicy) -> list[PolicyModule]:
    """Return the templates of the guest that has this base policy. Their directory is the guest's."""
    return [
        PolicyModule(path.stem, GUEST_TEMPLATES, {"cil": path.read_bytes()}, is_template=True)
        for path in base.templates
    ]


def with_guest_templates(module: PolicyModule, base: BasePolicy) -> PolicyModule:
    """Return the module with the templates that it uses on this base policy.

    Raises InputError if it inherits a block that nothing declares, and a template of the guest is no CIL.
    """
    of_guest = guest_templates(base)
    if not of_guest and not any(each.directory == GUEST_TEMPLATES for each in module.templates):
        return module
    return with_templates(module, of_guest)


def concerns_guest(error: InputError) -> bool:
    """Return whether an error is about a template of the guest, which the guest may have replaced since."""
    return error.detail.startswith(f"{GUEST_TEMPLATES}/")


def all_on_base(templates: Iterable[PolicyModule], base: BasePolicy | None) -> list[PolicyModule]:
    """Return one template of each name, of the `templates` of the project and of selab and of the guest's."""
    return in_order(templates, guest_templates(base) if base else ())


def template_blocks(project: Project, base: BasePolicy | None) -> frozenset[str]:
    """Return the names of the blocks that a policy in CIL can inherit from templates on the base policy."""
    return frozenset[str]().union(*(each.blocks for each in all_on_base(all_templates(project), base)))


def sources_of_templates(module: PolicyModule) -> tuple[str, ...]:
    """Return a sentence for each place from which the module's templates come."""
    places = {GUEST_TEMPLATES: "templates of the guest", OWN_TEMPLATES: "selab's own templates"}
    names: dict[str, list[str]] = {}
    for each in module.templates:
        names.setdefault(places.get(each.directory, "templates of the project"), []).append(each.name)
    return tuple(
        f"The policy inherits {place}: {', '.join(listed)}."
        + (" udica's grant other things." if place == places[OWN_TEMPLATES] else "")
        for place, listed in sorted(names.items(), key=lambda pair: pair[0].startswith("selab"))
    )
