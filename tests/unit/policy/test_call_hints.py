"""What to write instead of a wrong call."""

from __future__ import annotations

from pathlib import Path

import pytest

from selab.policy.base import BasePolicy
from selab.policy.call_hints import interface_hint, own_interfaces, unrequired_hint
from selab.policy.language.te import Call, items, tokens
from selab.policy.module import PolicyModule
from selab.policy.tool_messages import compile_error
from tests import centos_like
from tests.unit.policy.test_tool_messages import failed

PROPOSED = "container_domain_template({}, container)"
REQUIRED = "gen_require(`type container_file_t;')"


@pytest.fixture
def centos(tmp_path: Path) -> BasePolicy:
    return centos_like.write_base(tmp_path / "centos", denies=False)


def web(directory: Path, call: str, **others: str) -> PolicyModule:
    texts = {"te": f"policy_module(web, 1.0)\n{call}\n", **others}
    return PolicyModule("web", directory, {ending: text.encode() for ending, text in texts.items()})


def hint(module: PolicyModule, base: BasePolicy) -> str:
    text = module.line("te", 2)
    calls = [item for item in items(tokens(text)) if isinstance(item, Call)]
    return interface_hint(module, text, calls, base)


@pytest.mark.parametrize(
    ("call", "message", "name"),
    [
        ("container_domain_template(app)", "unknown type _file_t", "app"),
        ("container_domain_template(app, container)", "unknown type container_file_t", "app"),
        ("container_domain_template(app, containers)", "unknown type containers_file_t", "app"),
        ("container_domain_template()", "unknown type _file_t", "web"),
        ("container_domain_templat(app)", "syntax error", "app"),
    ],
)
def test_a_wrong_call_of_the_template_gets_the_one_that_works_everywhere(
    tmp_path: Path, centos: BasePolicy, call: str, message: str, name: str
) -> None:
    error = compile_error(
        web(tmp_path, call), failed(f"web.te:2:ERROR '{message}' at token ';' on line 9:\n"), centos
    )
    assert PROPOSED.format(name) in error.hint and REQUIRED in error.hint


def test_other_files_of_the_base_policy_need_only_their_own_type(tmp_path: Path, centos: BasePolicy) -> None:
    output = "web.te:2:ERROR 'unknown type container_ro_file_t' at token ';' on line 9:\n"
    module = web(tmp_path, "container_domain_template(app, container_ro)")
    assert "gen_require(`type container_ro_file_t;')" in compile_error(module, failed(output), centos).hint


def test_another_name_that_the_template_uses_is_not_about_its_arguments(
    tmp_path: Path, centos: BasePolicy
) -> None:
    output = "web.te:2:ERROR 'unknown attribute no_such' at token ';' on line 9:\n"
    error = compile_error(web(tmp_path, "container_domain_template(app, container)"), failed(output), centos)
    assert "no_such" in error.hint and REQUIRED not in error.hint


def test_an_interface_of_a_module_that_is_not_required_is_named_with_its_file(
    tmp_path: Path, centos: BasePolicy
) -> None:
    (tmp_path / "app.if").write_text("interface(`rsync_entry_spec_domtran',`')\n")
    module = web(tmp_path, "rsync_entry_spec_domtran(web_t)")
    assert str(tmp_path / "app.if") in hint(module, centos) and "selab.yaml" in hint(module, centos)


@pytest.mark.parametrize(
    ("own", "name"), [("rsync_entry_web", "rsync_entry_web"), ("x_read", "rsync_entry_spec_domtrans")]
)
def test_a_similar_interface_of_the_project_goes_before_those_of_the_headers(
    tmp_path: Path, centos: BasePolicy, own: str, name: str
) -> None:
    (tmp_path / "app.if").write_text(f"interface(`{own}',`')\n")
    assert f"Did you mean {name}?" in hint(web(tmp_path, "rsync_entry_we(web_t)"), centos)


def test_a_template_of_the_project_with_the_templates_name_is_explained_by_its_own_arguments(
    tmp_path: Path, centos: BasePolicy
) -> None:
    own = "template(`container_domain_template',`type $1_t, $2, $3;')\n"
    text = hint(web(tmp_path, "container_domain_template(web)", **{"if": own}), centos)
    assert "web.if" in text and "takes 3" in text and REQUIRED not in text


def test_the_modules_own_interface_goes_before_that_of_another_file(tmp_path: Path) -> None:
    (tmp_path / "app.if").write_text("interface(`web_read',`allow $1 $2;')\n")
    module = web(tmp_path, "", **{"if": "interface(`web_read',`allow $1;')\n"})
    assert own_interfaces(module)["web_read"][1] == tmp_path / "web.if"
    assert unrequired_hint(module, "web_read") == ""


def test_a_link_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("interface(`web_read',`')\n")
    (tmp_path / "app.if").symlink_to(tmp_path / "elsewhere")
    assert own_interfaces(web(tmp_path, "")) == {}
