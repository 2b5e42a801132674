"""The types that udica finds for ports and paths, in a base policy."""

from __future__ import annotations

from pathlib import Path

import pytest

from selab.policy.base import BasePolicy
from selab.policy.survey import StoreFacts
from selab.policy.udica_labels import BaseLabels
from tests import centos_like

CONTEXTS = """\
/.*	system_u:object_r:default_t:s0
/srv/web(/.*)?	system_u:object_r:web_content_t:s0
/srv/web/log	-d	system_u:object_r:web_log_t:s0
/srv/webdav(/.*)?	system_u:object_r:dav_content_t:s0
/srv/none(/.*)?	<<none>>
/var/run/web(/.*)?	system_u:object_r:web_run_t:s0
"""
LOCAL = "/srv/own(/.*)?	system_u:object_r:own_t:s0\n/srv/webdav/x	<<none>>\n"
HOMES = "HOME_DIR/web(/.*)?	u:object_r:web_home_t:s0\nHOME_ROOT	u:object_r:home_root_t:s0\n"
PORTS = """\
(portcon tcp (1024 65535) (system_u object_r unreserved_port_t ((s0) (s0))))
(portcon tcp 8080 (system_u object_r http_cache_port_t ((s0) (s0))))
(portcon sctp (1 1023) (system_u object_r reserved_port_t ((s0) (s0))))
"""


@pytest.fixture
def labels(tmp_path: Path) -> BaseLabels:
    files = tmp_path / "contexts/files"
    files.mkdir(parents=True)
    (files / "file_contexts").write_text(CONTEXTS)
    (files / "file_contexts.local").write_text(LOCAL)
    (files / "homedir_template").write_text(HOMES)
    (files / "file_contexts.subs_dist").write_text("/run /var/run\n")
    (tmp_path / "flat.cil").write_text(PORTS)
    return BaseLabels(BasePolicy(StoreFacts("test", 33, True, False, ""), tmp_path, frozenset()))


@pytest.mark.parametrize(
    ("path", "types"),
    [
        ("/srv/web", ("dav_content_t", "web_content_t", "web_log_t")),
        ("/srv/web/log", ("web_log_t",)),
        ("/srv/web/data", ("web_content_t",)),
        ("/srv/own", ("own_t",)),
        ("/srv/webdav", ("dav_content_t",)),
        ("/opt/x", ("default_t",)),
        ("/run/web", ("web_run_t",)),
        ("/home/x/web", ("web_home_t",)),
        ("/home", ("home_root_t", "web_home_t")),
        ("/srv/none", ()),
        ("/srv/webdav/x", ()),
    ],
)
def test_the_types_are_those_of_the_path_and_of_all_lines_that_begin_with_it(
    labels: BaseLabels, path: str, types: tuple[str, ...]
) -> None:
    assert labels.types_of(path) == types


def test_a_policy_without_a_line_for_a_path_has_no_context_for_it(labels: BaseLabels) -> None:
    files = labels.base.directory / "contexts/files/file_contexts"
    files.write_text("/srv/web(/.*)?	system_u:object_r:web_content_t:s0\n")
    assert labels.types_of("/opt/x") == ()


@pytest.mark.parametrize(
    ("protocol", "number", "name"),
    [
        ("tcp", 8080, "http_cache_port_t"),
        ("tcp", 8081, "unreserved_port_t"),
        ("sctp", 80, "reserved_port_t"),
        ("udp", 80, "port_t"),
    ],
)
def test_the_type_of_a_port_is_that_of_the_smallest_range(
    labels: BaseLabels, protocol: str, number: int, name: str
) -> None:
    assert labels.port_type(protocol, number) == name


def test_the_types_of_centos_are_found(tmp_path: Path) -> None:
    base = centos_like.write_base(tmp_path / "centos", denies=False)
    assert "httpd_sys_content_t" in BaseLabels(base).types_of("/var/www")
