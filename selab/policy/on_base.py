"""Complete a module with what depends on the base policy: its templates, and the rules of a UdicaPolicy."""

from __future__ import annotations

from dataclasses import replace

from selab.policy.base import BasePolicy
from selab.policy.guest_templates import with_guest_templates
from selab.policy.module import PolicyModule
from selab.policy.module_files import PROFILE
from selab.policy.udica_labels import BaseLabels
from selab.policy.udica_policy import KIND, translated


def needs_base(module: PolicyModule) -> bool:
    """Return whether the rules of the module, or of one that it requires, depend on the base policy."""
    return any(each.yaml_kind == KIND for each in module.all)


def on_base(module: PolicyModule, base: BasePolicy) -> PolicyModule:
    """Return the module as it is on this base policy, with what it requires.

    Raises InputError if it inherits a block that nothing declares, and a template of the guest is no CIL, or
    if a path of a UdicaPolicy has no context.
    """
    if needs_base(module):
        module = _with_rules(module, BaseLabels(base), {})
    return with_guest_templates(module, base)


def _with_rules(module: PolicyModule, labels: BaseLabels, done: dict[str, PolicyModule]) -> PolicyModule:
    """Return the module with the rules of each UdicaPolicy; `done` has those modules by their names."""
    if module.name not in done:
        requires = tuple(
            each if each.is_template else _with_rules(each, labels, done) for each in module.requires
        )
        texts = module.texts
        if module.yaml_kind == KIND:
            texts = texts | {"cil": translated(texts[PROFILE].decode(), module.path, labels).encode()}
        done[module.name] = replace(module, texts=texts, requires=requires)
    return done[module.name]
