"""Write YAML: names and texts of a policy become values through the YAML library, never by concatenation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

WIDTH = 120


class _Dumper(yaml.SafeDumper):
    """Writes a text of several lines as a block if YAML can represent it as one."""


def _represented(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represented)


def yaml_text(header: Sequence[str], data: Any) -> bytes:
    """Return `data` as YAML below a comment with the lines of `header`."""
    comment = "".join(f"# {line}\n" for line in header)
    text: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, width=WIDTH)
    return f"{comment}---\n{text}".encode()
