"""selab: a laboratory for SELinux policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from selab.api import Inconclusive, Result, Selab

__version__ = "0.1.0"
__all__ = ["Inconclusive", "Result", "Selab", "__version__"]


def __getattr__(name: str) -> Any:
    """Import the Python interface at its first use, so that the command line starts without it (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module 'selab' has no attribute '{name}'")
    from selab import api

    return getattr(api, name)
