"""The format ansible: a role that hands the modules to linux-system-roles.selinux."""

from __future__ import annotations

from dataclasses import replace

import yaml

from selab.export.ansible import ansible

from .conftest import MaterialOf, cil, paths, text_of


def test_the_role_has_the_files_of_a_role(proven: MaterialOf) -> None:
    assert paths(ansible(proven(cil()))) == [
        "web/defaults/main.yml",
        "web/meta/main.yml",
        "web/tasks/main.yml",
        "web/files/base_container.cil",
        "web/files/web.cil",
    ]


def test_the_system_role_gets_each_module_with_its_path_and_priority(proven: MaterialOf) -> None:
    remember, install = yaml.safe_load(text_of(ansible(proven(cil())), "web/tasks/main.yml"))
    # `role_path` is evaluated before the system role, which has a path of its own.
    assert remember["ansible.builtin.set_fact"] == {"web_selinux_files": "{{ role_path }}/files"}
    assert install["ansible.builtin.include_role"] == {"name": "{{ web_selinux_system_role }}"}
    assert install["vars"]["selinux_modules"] == [
        {"path": f"{{{{ web_selinux_files }}}}/{name}.cil", "priority": "400", "state": "enabled"}
        for name in ("base_container", "web")
    ]


def test_the_system_role_is_a_default_that_the_user_can_set(proven: MaterialOf) -> None:
    defaults = yaml.safe_load(text_of(ansible(proven(cil())), "web/defaults/main.yml"))
    assert defaults == {"web_selinux_system_role": "linux-system-roles.selinux"}


def test_the_names_of_variables_are_ones_that_ansible_allows(proven: MaterialOf) -> None:
    material = proven(replace(cil(), name="my-web.x"))
    assert "my_web_x_selinux_system_role" in text_of(ansible(material), "my-web.x/defaults/main.yml")


def test_each_file_has_the_header(proven: MaterialOf) -> None:
    material = proven(cil())
    for file in ansible(material).files:
        mark = ";" if file.path.endswith(".cil") else "#"
        assert file.data.startswith(material.header(mark))
