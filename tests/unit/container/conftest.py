"""Fixtures of the tests of containers."""

from __future__ import annotations

from pathlib import Path

import pytest

from selab.container.image import Image, find_image
from selab.project import Project

from .container_guest import DOCKER, WEB, ContainerGuest

DOCKERFILE = "FROM debian:trixie-slim\nENV A=b C=d\nEXPOSE 80\n"


@pytest.fixture
def httpd(project: Project) -> Image:
    """An image of the project."""
    directory = project.images / "Httpd"
    (directory / "files" / "etc").mkdir(parents=True)
    (directory / "Dockerfile").write_text(DOCKERFILE)
    (directory / "packages").write_text("apache2\n")
    (directory / "files" / "etc" / "x").write_text("x")
    (directory / "link").symlink_to("/etc/passwd")
    return find_image(project, "Httpd")


@pytest.fixture
def guest(tmp_path: Path) -> ContainerGuest:
    """A guest in which Docker starts the process 77, which is the container abc."""
    guest = ContainerGuest(tmp_path)
    guest.runtime()
    guest.process(77, WEB)
    guest.write(DOCKER.pid_file.replace("ID", "abc"), "77")
    return guest
