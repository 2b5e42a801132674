"""A sandbox for the scripts that run a service."""

from __future__ import annotations

from pathlib import Path

import pytest

from .service_guest import WEB, ServiceGuest


@pytest.fixture
def guest(tmp_path: Path) -> ServiceGuest:
    """A guest whose unit, once started, has one process with the context WEB."""
    guest = ServiceGuest(tmp_path)
    guest.process(77, WEB)
    guest.on("start", guest.becomes())
    return guest
