"""A small policy with a web server in it, and an expert who knows it."""

from __future__ import annotations

import pytest

from selab.advice.denied_access import DeniedAccess
from selab.advice.knowledge import PolicyKnowledge
from selab.policy.contexts import FileSpec
from selab.policy.interfaces import Interface, InterfaceTable
from selab.policy.language.declarations import read_candidates, read_flat
from selab.policy.language.statements import Grant
from selab.policy.query.index import PolicyIndex

BASE = """
(class file (read write open getattr))
(class dir (search))
(class tcp_socket (name_bind name_connect create))
(class capability (setuid sys_admin))
(class process2 (nnp_transition))
(typeattribute domain)
(typeattribute file_type)
(typeattribute port_type)
(typeattribute security_file_type)
(type web_t)
(type etc_t)
(type content_t)
(type volume_t)
(type home_t)
(type shadow_t)
(type web_port_t)
(type other_port_t)
(type nfs_t)
(typeattribute noxattrfs)
(typeattributeset noxattrfs (nfs_t))
(boolean web_connects false)
(boolean may_read_homes false)
(typeattributeset domain (web_t))
(typeattributeset file_type (etc_t content_t volume_t home_t shadow_t nfs_t))
(typeattributeset security_file_type (shadow_t))
(typeattributeset port_type (web_port_t other_port_t))
(allow domain volume_t (file (read write open getattr)))
(allow web_t content_t (file (read open getattr)))
(allow web_t web_port_t (tcp_socket (name_bind)))
(allow web_t web_port_t (tcp_socket (name_connect)))
(booleanif (web_connects) (true (allow web_t port_type (tcp_socket (name_connect)))))
(booleanif (may_read_homes)
    (true
        (allow web_t home_t (file (read open)))))
"""
CANDIDATE = "(type app_t)\n(typeattributeset domain (app_t))\n"
READ = frozenset({"read", "open", "getattr"})


def granting(
    name: str, *grants: Grant, attributes: tuple[tuple[str, str], ...] = (), kind: str = "interface"
) -> Interface:
    return Interface(
        name,
        kind,
        "kernel/files.if",
        1,
        f"It is {name}.",
        ("domain",),
        1,
        grants=grants,
        attributes=attributes,
    )


ETC = Grant("allow", "$1", "etc_t", "file", READ)
TABLE = InterfaceTable(
    [
        granting("read_etc", ETC),
        granting("read_all", Grant("allow", "$1", "file_type", "file", READ)),
        granting(
            "read_but_shadow",
            Grant(
                "allow",
                "$1",
                "file_type",
                "file",
                READ,
                source_except=frozenset(),
                target_except=frozenset({"etc_t"}),
            ),
        ),
        granting("read_etc_template", ETC, kind="template"),
        granting(
            "read_etc_and_change",
            ETC,
            Grant("type_transition", "$1", "etc_t", "file", frozenset(), result="home_t"),
        ),
    ]
)


@pytest.fixture
def expert() -> PolicyKnowledge:
    base = read_flat(BASE)
    index = PolicyIndex(base, read_candidates([CANDIDATE], base))
    specs = (
        FileSpec("/srv(/.*)?", "", "u:object_r:etc_t:s0"),
        FileSpec("/srv/www(/.*)?", "", "u:object_r:content_t:s0"),
    )
    return PolicyKnowledge(index, TABLE, specs)


def need(
    source: str, target: str, tclass: str, *permissions: str, number: int = 1, **more: object
) -> DeniedAccess:
    return DeniedAccess(number, source, target, tclass, frozenset(permissions), **more)  # type: ignore[arg-type]
