"""A service has what it extends and what its file includes, from nowhere but the project."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from selab.errors import InputError
from selab.project import Project
from selab.scaffold.compose.file import MAX_FILES, Application, Service, load_application, merge


def application(project: Project, text: str, *names: str, profiles: tuple[str, ...] = ()) -> Application:
    file = project.root / "compose.yaml"
    file.write_text(text)
    return load_application(project, file, names, profiles)


def loaded(project: Project, text: str, name: str = "web") -> Service:
    """Return a service with what could not be read for it or for the whole file."""
    whole = application(project, text, name)
    (service,) = whole.services
    return replace(service, left=whole.left + service.left)


@pytest.mark.parametrize(
    ("base", "own", "result"),
    [
        ({"image": "a"}, {"user": "b"}, {"image": "a", "user": "b"}),
        ({"image": "a"}, {"image": "b"}, {"image": "b"}),
        ({"command": ["a"]}, {"command": ["b"]}, {"command": ["b"]}),
        ({"cap_add": ["A"]}, {"cap_add": ["B", "A"]}, {"cap_add": ["B", "A"]}),
        ({"environment": ["A=1", "B=2"]}, {"environment": {"B": "3"}}, {"environment": {"A": "1", "B": "3"}}),
        ({"volumes": ["a:/x", "b:/y"]}, {"volumes": ["c:/x"]}, {"volumes": ["b:/y", "c:/x"]}),
        (
            {"volumes": [{"type": "bind", "source": "a", "target": "/x/"}]},
            {"volumes": ["c:/x:ro"]},
            {"volumes": ["c:/x:ro"]},
        ),
        ({"deploy": {"a": {"b": 1}}}, {"deploy": {"a": {"c": 2}}}, {"deploy": {"a": {"b": 1, "c": 2}}}),
        ({"image": "a"}, {"image": None}, {"image": "a"}),
        ({"dns": "a"}, {"dns": ["b"]}, {"dns": ["b"]}),
    ],
)
def test_merge(base: dict[str, Any], own: dict[str, Any], result: dict[str, Any]) -> None:
    assert merge(base, own) == result


@pytest.mark.parametrize("extends", ["base", "{service: base}"])
def test_a_service_extends_another_one(extends: str, project: Project) -> None:
    text = f"services: {{web: {{extends: {extends}, user: me}}, base: {{image: x, user: you}}}}"
    assert loaded(project, text).settings == {"image": "x", "user": "me"}


def test_a_service_extends_one_of_another_file(project: Project) -> None:
    (project.root / "sub").mkdir()
    base = "services: {base: {image: x, volumes: ['./a:/a', 'b:/b', {type: bind, source: c, target: /c}]}}"
    (project.root / "sub" / "base.yaml").write_text(base)
    service = loaded(project, "services: {web: {extends: {file: sub/base.yaml, service: base}}}")
    directory = (project.root / "sub").resolve()
    assert service.settings == {
        "image": "x",
        "volumes": [
            f"{directory}/a:/a",
            "b:/b",
            {"type": "bind", "source": f"{directory}/c", "target": "/c"},
        ],
    }


@pytest.mark.parametrize(
    "include", ["[sub/b.yaml]", "[{path: sub/b.yaml}]", "[{path: [sub/b.yaml]}]", "['${F:-sub/b.yaml}']"]
)
def test_included_files_have_services(include: str, project: Project) -> None:
    (project.root / "sub").mkdir()
    (project.root / "sub" / "b.yaml").write_text("services: {web: {image: x}}")
    service = loaded(project, f"include: {include}\nservices: {{db: {{}}}}")
    assert (service.settings, service.directory) == ({"image": "x"}, (project.root / "sub").resolve())


@pytest.mark.parametrize("path", ["../out.yaml", "/etc/passwd", "link.yaml", "missing.yaml", "${X}"])
@pytest.mark.parametrize(
    "text",
    [
        "include: ['{0}']\nservices: {{web: {{}}}}",
        "services: {{web: {{extends: {{file: '{0}', service: web}}}}}}",
    ],
)
def test_no_path_to_the_outside_is_followed(path: str, text: str, project: Project) -> None:
    (project.root.parent / "out.yaml").write_text("services: {web: {image: stolen}, other: {}}")
    (project.root / "link.yaml").symlink_to(project.root.parent / "out.yaml")
    service = loaded(project, text.format(path))
    assert service.settings == {}
    assert path in service.left[0][0]


@pytest.mark.parametrize("path", ["https://x.example/c.yaml", "git@x.example:a/b.git"])
def test_nothing_is_read_from_the_network(path: str, project: Project) -> None:
    service = loaded(project, f"include: ['{path}']\nservices: {{web: {{}}}}")
    assert service.left == (((f'include "{path}"'), "selab reads no file from the network"),)


def test_outside_of_a_project_the_directory_of_the_file_is_read(project: Project, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "b.yaml").write_text("services: {db: {image: x}}")
    file = tmp_path / "other" / "compose.yaml"
    file.write_text("include: [b.yaml, ../c.yaml]\nservices: {web: {}}")
    whole = load_application(project, file, ["db"])
    assert (whole.services[0].settings, len(whole.left)) == ({"image": "x"}, 1)


def test_services_that_extend_each_other_end(project: Project) -> None:
    text = "services: {web: {extends: db}, db: {extends: web}}"
    assert "too many" in loaded(project, text).left[0][1]


def test_files_that_include_each_other_end(project: Project) -> None:
    service = loaded(project, "include: [compose.yaml, compose.yaml]\nservices: {web: {}}")
    assert any(f"{MAX_FILES} files" in reason for _, reason in service.left)


def test_an_unknown_base_is_named(project: Project) -> None:
    service = loaded(project, "services: {web: {extends: bse, image: x}}")
    assert (service.settings, service.left[0][0]) == ({"image": "x"}, 'extends "bse"')


def test_a_service_without_keys(project: Project) -> None:
    assert loaded(project, "services: {web: }").settings == {}


@pytest.mark.parametrize("names", [("web",), ()])
def test_profiles_do_not_hide_a_service_that_is_named_or_the_only_one(
    names: tuple[str, ...], project: Project
) -> None:
    whole = application(project, "services: {web: {profiles: [debug]}}", *names)
    assert [service.name for service in whole.services] == ["web"]


PROFILES = "services: {web: {}, db: {profiles: [a, b]}, mail: {extends: db}, log: {profiles: [c]}}"


@pytest.mark.parametrize(
    ("profiles", "names"),
    [
        ((), ["web"]),
        (("a",), ["web", "db", "mail"]),
        (("b", "c"), ["web", "db", "mail", "log"]),
        (("*",), ["web", "db", "mail", "log"]),
    ],
)
def test_profiles_choose_services(profiles: tuple[str, ...], names: list[str], project: Project) -> None:
    whole = application(project, PROFILES, profiles=profiles)
    assert [service.name for service in whole.services] == names
    assert [*whole.hidden] == [name for name in ("db", "mail", "log") if name not in names]


def test_an_unknown_profile_is_answered_with_the_nearest(project: Project) -> None:
    with pytest.raises(InputError, match="profile 'debag'") as error:
        application(project, "services: {web: {}, db: {profiles: [debug]}}", profiles=("debag",))
    assert "'debug'" in error.value.hint


def test_if_profiles_hide_everything_the_error_names_them(project: Project) -> None:
    with pytest.raises(InputError, match="has a profile") as error:
        application(project, "services: {web: {profiles: [a]}, db: {profiles: [b]}}")
    assert error.value.detail == "web: a, db: b"


@pytest.mark.parametrize("count", [17, 65])
def test_more_services_than_a_scenario_can_have_must_be_chosen(count: int, project: Project) -> None:
    text = "services: {" + ", ".join(f"s{number}: {{}}" for number in range(count)) + "}"
    with pytest.raises(InputError, match=f"{count} services"):
        application(project, text)
    assert len(application(project, text, *(f"s{number}" for number in range(16))).services) == 16


def test_many_services_may_extend_the_same_file(project: Project) -> None:
    (project.root / "base.yaml").write_text("services: {base: {image: x}}")
    extends = "{extends: {file: base.yaml, service: base}}"
    text = "services: {" + ", ".join(f"s{number}: {extends}" for number in range(MAX_FILES)) + "}"
    whole = application(project, text)
    assert {service.settings["image"] for service in whole.services} == {"x"}
    assert all(not service.left for service in whole.services)


@pytest.mark.parametrize("text", ["services: {web: []}", "include: x\nservices: {web: {}}", "services: 1"])
def test_a_file_of_another_form_is_refused(text: str, project: Project) -> None:
    with pytest.raises(InputError):
        loaded(project, text)
