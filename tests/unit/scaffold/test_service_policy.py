"""A new policy for a service has a type for its program and for each place of its files."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from selab.errors import SelabError
from selab.host.local import LocalHost
from selab.policy.base import BasePolicy
from selab.policy.compile import compile_module
from selab.policy.interfaces import Interface, InterfaceTable, interface_table
from selab.policy.lint import lint, module_under_lint
from selab.policy.lint.names import vocabulary
from selab.policy.module import load_module
from selab.policy.toolchain import Toolchain
from selab.project import Project
from selab.scaffold.service_policy import RANDOM, ServicePolicy, service_policy
from selab.scaffold.target import Known, Target
from selab.service.description import ServiceDescription

UNIT, PROGRAM = "web.service", "/usr/sbin/web"
LEAST = ServiceDescription(UNIT, PROGRAM, "bin_t")
MOST = ServiceDescription(
    UNIT,
    PROGRAM,
    "bin_t",
    "www-data",
    directories=("/etc/web", "/var/lib/web", "/var/cache/web", "/var/log/web", "/var/spool/web", "/run/web"),
    files=("/run/web.pid", "/var/log/web.log"),
    writable=("/srv/web",),
    sockets=("/run/web.sock",),
    ports=(("tcp", 80),),
    no_new_privileges=True,
)
NAMES = (
    *("init_daemon_domain", "init_nnp_daemon_domain", "files_type", "files_config_file", "logging_log_file"),
    *("files_spool_file", "files_runtime_file", "logging_log_filetrans", "files_runtime_filetrans"),
)


def target_with(base: BasePolicy, *names: str) -> Target:
    """A known base policy that has these interfaces."""
    headings = [Interface(name, "interface", "system/x.if", 1, "", ("domain",), 1) for name in names]
    return Target("", Known(base, InterfaceTable(headings), {"http_port_t": ["tcp 80"]}))


def rules(policy: ServicePolicy) -> list[str]:
    return [line for line in policy.te.splitlines() if line and not line.startswith("#")]


def test_the_least_policy_has_a_domain_and_its_entry_point(base: BasePolicy) -> None:
    policy = service_policy("web", LEAST, target_with(base, *NAMES))
    assert rules(policy) == [
        "policy_module(web, 1.0)",
        "type web_t;",
        "type web_exec_t;",
        "init_daemon_domain(web_t, web_exec_t)",
    ]
    assert policy.fc == "/usr/sbin/web\t--\tgen_context(system_u:object_r:web_exec_t,s0)\n"
    assert policy.remarks == ()


def test_it_reads_random_numbers_if_the_base_policy_has_an_interface_for_that(base: BasePolicy) -> None:
    assert "dev_read_urand(web_t)" in rules(service_policy("web", LEAST, target_with(base, *NAMES, RANDOM)))


def test_each_place_has_a_type_and_the_access_that_fits(base: BasePolicy) -> None:
    policy = service_policy("web", MOST, target_with(base, *NAMES))
    assert rules(policy)[4:] == [
        "init_nnp_daemon_domain(web_t)",
        "type web_etc_t;",
        "files_config_file(web_etc_t)",
        "type web_var_lib_t;",
        "files_type(web_var_lib_t)",
        "type web_cache_t;",
        "files_type(web_cache_t)",
        "type web_log_t;",
        "logging_log_file(web_log_t)",
        "type web_spool_t;",
        "files_spool_file(web_spool_t)",
        "type web_run_t;",
        "files_runtime_file(web_run_t)",
        "type web_data_t;",
        "files_type(web_data_t)",
        "allow web_t web_etc_t:dir list_dir_perms;",
        "read_files_pattern(web_t, web_etc_t, web_etc_t)",
        "manage_dirs_pattern(web_t, web_var_lib_t, web_var_lib_t)",
        "manage_files_pattern(web_t, web_var_lib_t, web_var_lib_t)",
        "manage_dirs_pattern(web_t, web_cache_t, web_cache_t)",
        "manage_files_pattern(web_t, web_cache_t, web_cache_t)",
        "append_files_pattern(web_t, web_log_t, web_log_t)",
        "create_files_pattern(web_t, web_log_t, web_log_t)",
        "setattr_files_pattern(web_t, web_log_t, web_log_t)",
        "manage_dirs_pattern(web_t, web_spool_t, web_spool_t)",
        "manage_files_pattern(web_t, web_spool_t, web_spool_t)",
        "manage_dirs_pattern(web_t, web_run_t, web_run_t)",
        "manage_files_pattern(web_t, web_run_t, web_run_t)",
        "manage_sock_files_pattern(web_t, web_run_t, web_run_t)",
        "manage_dirs_pattern(web_t, web_data_t, web_data_t)",
        "manage_files_pattern(web_t, web_data_t, web_data_t)",
        "logging_log_filetrans(web_t, web_log_t, file)",
        "files_runtime_filetrans(web_t, web_run_t, { file sock_file })",
        "allow web_t self:tcp_socket create_stream_socket_perms;",
        "corenet_tcp_bind_generic_node(web_t)",
    ]
    lines = [line.split("\t") for line in policy.fc.splitlines()]
    assert [(words[0], words[1:-1]) for words in lines] == [
        ("/usr/sbin/web", ["--"]),
        ("/etc/web(/.*)?", []),
        ("/var/lib/web(/.*)?", []),
        ("/var/cache/web(/.*)?", []),
        ("/var/log/web(/.*)?", []),
        (r"/var/log/web\.log", ["--"]),
        ("/var/spool/web(/.*)?", []),
        ("/run/web(/.*)?", []),
        (r"/run/web\.pid", ["--"]),
        (r"/run/web\.sock", ["-s"]),
        ("/srv/web(/.*)?", []),
    ]


def test_a_single_file_needs_no_rules_for_directories(base: BasePolicy) -> None:
    service = ServiceDescription(UNIT, PROGRAM, files=("/etc/web.conf", "/run/web.pid"))
    assert rules(service_policy("web", service, target_with(base, *NAMES)))[8:] == [
        "read_files_pattern(web_t, web_etc_t, web_etc_t)",
        "manage_files_pattern(web_t, web_run_t, web_run_t)",
        "files_runtime_filetrans(web_t, web_run_t, file)",
    ]


@pytest.mark.parametrize(("user", "word"), [("daemon", "as the user daemon"), ("", "starts it as root")])
def test_a_comment_says_what_the_user_means_for_capabilities(base: BasePolicy, user: str, word: str) -> None:
    policy = service_policy("web", ServiceDescription(UNIT, PROGRAM, user=user), target_with(base, *NAMES))
    assert word in policy.te


def test_the_older_names_of_interfaces_are_used_if_the_base_policy_has_them(base: BasePolicy) -> None:
    older = ("init_daemon_domain", "files_type", "files_pid_file", "files_pid_filetrans")
    service = ServiceDescription(UNIT, PROGRAM, files=("/run/web.pid",))
    lines = rules(service_policy("web", service, target_with(base, *older)))
    assert {"files_pid_file(web_run_t)", "files_pid_filetrans(web_t, web_run_t, file)"} <= {*lines}


def test_an_interface_that_the_base_policy_lacks_becomes_an_attribute(base: BasePolicy) -> None:
    service = ServiceDescription(
        UNIT, PROGRAM, directories=("/run/web",), files=("/run/x",), no_new_privileges=True
    )
    assert rules(service_policy("web", service, target_with(base, "init_daemon_domain")))[4:9] == [
        "gen_require(`",
        "\tattribute file_type;",
        "')",
        "type web_run_t;",
        "typeattribute web_run_t file_type;",
    ]


def test_without_a_base_policy_only_interfaces_that_all_have_are_named() -> None:
    policy = service_policy("web", MOST, Target(""))
    calls = {line.partition("(")[0] for line in rules(policy) if not line.startswith(("type ", "allow "))}
    assert {call for call in calls if not call.endswith("_pattern")} == {
        *("policy_module", "init_daemon_domain", "files_type", "corenet_tcp_bind_generic_node")
    }


def test_a_base_policy_without_daemons_is_an_error(base: BasePolicy) -> None:
    with pytest.raises(SelabError, match="no init_daemon_domain"):
        service_policy("web", LEAST, target_with(base))


def test_a_program_that_has_a_policy_already_is_a_remark(base: BasePolicy) -> None:
    service = ServiceDescription(UNIT, PROGRAM, "httpd_exec_t")
    (remark,) = service_policy("web", service, target_with(base, *NAMES)).remarks
    assert "already has the type httpd_exec_t for /usr/sbin/web" in remark


@pytest.fixture
def labelled(base: BasePolicy) -> Target:
    """A base policy with file contexts and equivalences."""
    directory = base.directory / "contexts" / "files"
    directory.mkdir(parents=True)
    (directory / "file_contexts.subs_dist").write_text("/usr/sbin /usr/bin\n")
    (directory / "file_contexts").write_text(
        "/etc/web(/.*)?\tu:object_r:other_t:s0\n/usr/bin/web\t--\tu:object_r:other_exec_t:s0\n"
    )
    return target_with(base, *NAMES)


def test_an_entry_does_not_contradict_one_of_the_base_policy(labelled: Target) -> None:
    service = ServiceDescription(UNIT, "/usr/sbin/x", directories=("/etc/web",))
    lines = service_policy("web", service, labelled).fc.splitlines()
    assert [line.split("\t")[:-1] for line in lines[1:]] == [["/etc/web", "-d"], ["/etc/web/.*"]]


def test_a_path_is_written_as_the_guest_looks_it_up(labelled: Target) -> None:
    service = ServiceDescription(UNIT, "/usr/sbin/x")
    assert service_policy("web", service, labelled).fc.startswith("/usr/bin/x\t--\t")


def test_an_entry_that_contradicts_the_base_policy_is_a_remark(labelled: Target) -> None:
    (remark,) = service_policy("web", LEAST, labelled).remarks
    assert "an entry for /usr/bin/web too, with the type other_exec_t" in remark


def test_a_word_that_m4_would_replace_is_quoted(base: BasePolicy) -> None:
    service = ServiceDescription(UNIT, PROGRAM, directories=("/etc/index",))
    assert "/etc/`index'(/.*)?\t" in service_policy("web", service, target_with(base, *NAMES)).fc


SYSTEM = """
interface(`init_daemon_domain',`
	gen_require(`
		attribute domain;
		role r;
	')
	typeattribute $1 domain;
	typeattribute $2 domain;
	role r types $1;
	allow $1 $2:file read;
')
interface(`files_type',`
	gen_require(`
		attribute domain;
	')
	typeattribute $1 domain;
')
"""
PATTERNS = """
define(`manage_dirs_pattern',`allow $1 $3:file { read write };')
define(`manage_files_pattern',`allow $1 $3:file { read write };')
"""


@pytest.mark.toolchain
def test_it_compiles_and_the_lint_finds_nothing(based: BasePolicy, project: Project, tmp_path: Path) -> None:
    macros = based.headers / "include" / "support" / "macros.spt"
    macros.write_text(macros.read_text() + PATTERNS)
    (based.headers / "include" / "kernel" / "system.if").write_text(SYSTEM)
    target = Target("", Known(based, interface_table(based), {}))
    service = ServiceDescription(UNIT, PROGRAM, directories=("/var/lib/web",))
    policy = service_policy("web", service, target)
    (project.policies / "web.te").write_text(policy.te)
    (project.policies / "web.fc").write_text(policy.fc)
    module = load_module(project, "web")
    tools = Toolchain(LocalHost(), str(tmp_path / "build"))
    assert compile_module(module, based, tools).types == {"web_t", "web_exec_t", "web_var_lib_t"}
    assert list(lint(module_under_lint(module, based, vocabulary(based), interface_table(based), ()))) == []


def test_every_rule_has_a_comment_above_its_group(base: BasePolicy) -> None:
    lines = service_policy("web", MOST, target_with(base, *NAMES)).te.splitlines()
    first = [line for above, line in itertools.pairwise(lines) if not above and line]
    assert first and all(line.startswith("# ") for line in first)
