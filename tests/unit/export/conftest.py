"""Policies to export: proven by a run on a small base policy with CentOS's names."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from selab.export.files import Exported, write_new
from selab.export.material import Material
from selab.export.proof import Proof
from selab.policy.base import BasePolicy
from selab.policy.module import PolicyModule
from selab.progress import Progress
from selab.project import Project
from selab.run.document import RunDocument
from tests import centos_like
from tests.unit.documents import document

NOW = datetime.datetime(2026, 11, 27, 18, 0, tzinfo=datetime.UTC)
TE = b"""\
policy_module(web, 1.0)
gen_require(`type container_file_t;')
container_domain_template(web, container)
gen_require(`type http_port_t, etc_t;')
allow web_t http_port_t:tcp_socket name_bind;
allow web_t etc_t:file { getattr read };
"""
FC = b"/srv/web(/.*)? gen_context(system_u:object_r:etc_t,s0)\n"
BOX = b"""\
(block container
    (blockabstract container)
    (type process)
    (roletype system_r process)
    (typeattributeset container_domain (process)))
"""
CIL = b"""\
(block web
    (blockinherit container)
    (allow process http_port_t (tcp_socket (name_bind)))
    (allow process self (fifo_file (read write))))
"""
MaterialOf = Callable[[PolicyModule], Material]


def te(**more: bytes) -> PolicyModule:
    """A policy in .te with a domain for containers and two rules."""
    return PolicyModule("web", Path("policies"), {"te": TE} | more)


def cil(text: bytes = CIL) -> PolicyModule:
    """A policy as udica writes it, with its template."""
    box = PolicyModule("base_container", Path("policies/templates"), {"cil": BOX}, is_template=True)
    return PolicyModule("web", Path("policies"), {"cil": text}, (box,))


def passed(module: PolicyModule, **more: Any) -> RunDocument:
    """An enforcing run of the module's text that passed, unless `more` says otherwise."""
    fields = {"policy": module.name, "sources": module.digest_of_all, "verdict": "PASS", "base": "c" * 64}
    return document(**(fields | more))


@pytest.fixture
def centos(tmp_path: Path) -> BasePolicy:
    return centos_like.write_base(tmp_path / "centos", denies=False)


@pytest.fixture
def proven(project: Project, centos: BasePolicy) -> MaterialOf:
    """Return the material of a module that a run has proven."""
    return lambda module: Material(project, Proof(module, passed(module), centos), Progress(), NOW)


def written(exported: Exported, directory: Path) -> Path:
    """Write the files of an export into a new directory and return it."""
    write_new(directory, exported.files)
    return directory


def text_of(exported: Exported, path: str) -> str:
    return next(file.data.decode() for file in exported.files if file.path == path)


def paths(exported: Exported) -> list[str]:
    return [file.path for file in exported.files]
