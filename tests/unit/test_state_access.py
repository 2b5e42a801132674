"""Only selab.host.private opens state: no other module can follow a link that a repository brought."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest

import selab

PACKAGE = Path(selab.__file__).parent
CALLS = {
    "open",
    "read_text",
    "write_text",
    "read_bytes",
    "write_bytes",
    "mkdir",
    "unlink",
    "rmtree",
    "rename",
    "touch",
}
ELSEWHERE = {
    "This is the helper.": ["host/private.py", "host/binding.py"],
    "selab's own files, which it is installed with": [
        "auditlog/names.py",
        "export/deb.py:_script",
        "guest.py",
        "host/distribution.py:host_packages",
        "host/tables.py",
        "policy/guest/relabel.py",
        "policy/query/risk.py",
        "report/html.py",
        "vm/box/recipe.py",
        "vm/provision.py",
        "vm/keys.py",
    ],
    "files that the user wrote or names": [
        "analysis/audit.py",
        "analysis/offline.py",
        "cli/base.py",
        "cli/denials.py",
        "cli/doctor.py",
        "cli/report_options.py",
        "container/image.py",
        "export/files.py",
        "host/yamlfile.py",
        "images/source.py",
        "policy/call_hints.py:own_interfaces",
        "policy/module_files.py",
        "policy/source_file.py",
        "scaffold/inspected/container.py",
        "scaffold/example.py",
        "scaffold/new_file.py",
        "vm/consent.py",
        "vm/ssh_config.py",
        "vm/ssh_login.py",
        "vm/vagrantfile.py",
        "vm/host_keys.py:_plain_lines",
        "workflows/drafts.py:_read",
    ],
    "the user's cache and configuration": [
        "api.py",
        "host/cache.py",
        "host/trusted.py",
        "policy/base.py",
        "policy/compile_cil.py",
        "policy/contexts.py:runtime_type",
        "policy/fc_source.py",
        "policy/guest_templates.py",
        "policy/integrity.py",
        "policy/interfaces.py",
        "policy/lint/cil/subject.py",
        "policy/lint/names.py",
        "policy/portable.py",
        "policy/portable_file.py",
        "policy/query/index.py",
        "policy/query/ports.py",
        "policy/source_lines.py",
        "policy/store_archive.py",
        "policy/call_hints.py:_heading",
        "vm/box/store.py",
        "vm/kvm.py",
    ],
    "a directory that selab created for this call": [
        "container/archive.py",
        "images/rootfs.py",
        "policy/compile.py",
        "policy/macros.py",
        "policy/query/booleans.py",
        "policy/query/extended.py:_as_cil",
        "vm/box/build.py",
    ],
    "a slot: its state is checked, and the rest is a copy of the user's files": [
        "matrix/bundle.py",
        "matrix/slots.py",
    ],
    "Vagrant's private key, in a .vagrant that consent.py checked for links": ["vm/state.py:keep_key"],
    "the system, or the guest": [
        "host/descendants.py",
        "host/distribution.py:family",
        "host/labels.py:enforcing",
        "policy/guest/restore_labels.py",
        "policy/guest/save_labels.py",
        "vm/guest_agent/guard.py",
    ],
    "a Guest's file: put replaces the name, and get reads what a tool wrote": ["host/local.py"],
}
"""Modules, or functions of modules, that open files which are no state, by the reason."""
ALLOWED = [place for places in ELSEWHERE.values() for place in places]

_CALL = re.compile(rf"\b({'|'.join(sorted(CALLS))})\(")


def accesses(source: str) -> set[str]:
    """Return the functions that open, create or remove a file; "" is the module itself."""
    functions: set[str] = set()

    def visit(node: ast.AST, function: str) -> None:
        for child in ast.iter_child_nodes(node):
            visit(child, child.name if isinstance(child, ast.FunctionDef) else function)
        if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in CALLS:
            functions.add(function)

    if _CALL.search(source):
        visit(ast.parse(source), "")
    return functions


@functools.cache
def all_accesses() -> set[str]:
    """Return the functions of selab that open, create or remove a file, as `MODULE:FUNCTION`."""
    return {
        f"{path.relative_to(PACKAGE).as_posix()}:{function}"
        for path in PACKAGE.rglob("*.py")
        for function in accesses(path.read_text())
    }


def is_covered(access: str, place: str) -> bool:
    """Return whether `place`, a module or a function of one, contains the access."""
    return place in (access, access.partition(":")[0])


def test_only_the_helper_opens_state() -> None:
    others = [access for access in all_accesses() if not any(is_covered(access, place) for place in ALLOWED)]
    assert sorted(others) == [], "use selab.host.private, or add the function with the reason"


@pytest.mark.parametrize("place", ALLOWED)
def test_each_exception_is_needed(place: str) -> None:
    assert any(is_covered(access, place) for access in all_accesses())


@pytest.mark.parametrize(
    ("source", "functions"),
    [
        ("def f(path):\n    path.unlink()", {"f"}),
        ("def f(path):\n    with open(path): pass", {"f"}),
        ("def f(path):\n    def g(): path.mkdir()", {"g"}),
        ("PATH.read_text()", {""}),
        ("def f(path):\n    read_private(path, 1)", set()),
    ],
)
def test_an_access_is_found(source: str, functions: set[str]) -> None:
    assert accesses(source) == functions
