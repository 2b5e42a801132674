"""Read the SELinux label of a container from its security options or from the label of its process."""

from __future__ import annotations

import re
from collections.abc import Iterable

from selab.scaffold.container_builder import ContainerBuilder
from selab.scaffold.image_config import quoted

_OPTION = re.compile(r"label[=:](\w{1,32})(?:[=:](.*))?", re.DOTALL)
_STANDARD = frozenset({"container_t", "container_init_t", "container_kvm_t", "svirt_lxc_net_t"})
"""Types that runtimes choose themselves."""
_SEPARATION_OFF = frozenset({"spc_t", "unconfined_t"})


def add_label(builder: ContainerBuilder, options: Iterable[str], process_label: str = "") -> None:
    """Take over the type and the level of `options`, and list all other security options.

    Without an option for the type, the type of `process_label` is used if no runtime chooses it by default.
    """
    label: dict[str, str] = {}
    for option in options:
        match = _OPTION.fullmatch(option)
        kind, value = (match[1], match[2] or "") if match else ("", "")
        if kind in ("type", "level"):
            with builder.trying(f"security option {quoted(option)}"):
                builder.set("label", {**label, kind: value})
                label[kind] = value
        elif kind == "disable":
            builder.leave("security option label=disable", "selab runs every workload under a label")
        else:
            builder.leave(f"security option {quoted(option)}", "a scenario cannot set this")
    fields = process_label.split(":", 3)
    domain = fields[2] if len(fields) > 2 else ""
    if domain in _SEPARATION_OFF:
        builder.leave(
            f"the label {quoted(process_label)}", "selab runs every workload under a confined label"
        )
    elif domain and domain not in _STANDARD and "type" not in label:
        with builder.trying(f"the label {quoted(process_label)}"):
            builder.set("label", {**label, "type": domain})
