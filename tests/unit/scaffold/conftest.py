"""A base policy with ports, and headers whose interfaces let a domain listen on them."""

from __future__ import annotations

import pytest

from selab.policy.base import BasePolicy
from selab.project import Project
from tests.unit.headers import write_headers

PORTS = """
(type http_port_t) (type dns_port_t) (type container_file_t)
(portcon tcp 80 (u r http_port_t ((s0) (s0))))
(portcon tcp (8000 8010) (u r http_port_t ((s0) (s0))))
(portcon udp 53 (u r dns_port_t ((s0) (s0))))
(portcon tcp (1024 65535) (u r unreserved_port_t ((s0) (s0))))
"""
CORENETWORK = """
interface(`corenet_tcp_bind_all_ports',`
	gen_require(`
		attribute port_type;
		type http_port_t;
	')
	allow $1 { port_type http_port_t }:tcp_socket name_bind;
')
interface(`corenet_tcp_bind_http_port',`
	gen_require(`
		type http_port_t;
	')
	allow $1 http_port_t:tcp_socket name_bind;
')
interface(`corenet_udp_bind_dns_port',`
	gen_require(`
		type dns_port_t;
	')
	allow $1 dns_port_t:udp_socket name_bind;
')
"""
TWO = """
## <summary>A domain for a container.</summary>
## <param name="prefix"><summary>What its name begins with.</summary></param>
#
template(`container_domain_template',`
	gen_require(`
		attribute domain;
	')
	type $1_t, domain;
	role r types $1_t;
	allow $1_t $2_file_t:file read_file_perms;
')
"""


@pytest.fixture
def based(base: BasePolicy) -> BasePolicy:
    """The base policy of the other tests with ports, and Debian's template of one argument."""
    write_headers(base.headers)
    base.flat.write_text(base.flat.read_text() + PORTS)
    (base.headers / "include" / "kernel" / "corenetwork.if").write_text(CORENETWORK)
    return base


@pytest.fixture
def two_arguments(based: BasePolicy) -> BasePolicy:
    """Add container-selinux's template, which documents one argument and takes two."""
    (based.headers / "include" / "services" / "container.if").write_text(TWO)
    return based


HTTPD = """\
FROM debian:trixie-slim
EXPOSE 80 443/tcp 53/udp
VOLUME ["/srv/web.d", "/var/log"]
CMD ["httpd"]
"""


@pytest.fixture
def imaged(project: Project) -> Project:
    """A project with the image `httpd`."""
    directory = project.images / "httpd"
    (directory / "files").mkdir(parents=True)
    (directory / "packages").write_text("apache2\n")
    (directory / "Dockerfile").write_text(HTTPD)
    return project
