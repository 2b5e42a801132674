"""The review of a project's policies, with the compiler's and the linker's answers given."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from selab.__main__ import run
from selab.analysis import check as checking
from selab.analysis.check import NO_SELINT, CheckResult, check, refused_by_operator
from selab.errors import InputError
from selab.policy import toolchain
from selab.policy.base import BasePolicy
from selab.policy.lint import Finding, Severity
from selab.policy.lint.cil import CilUnderLint
from selab.policy.module import GUEST_TEMPLATES, load_module
from selab.progress import Progress
from selab.project import Project, find_project
from tests.unit.conftest import write_base
from tests.unit.fakes import Notes
from tests.unit.headers import write_headers

LINKED = SimpleNamespace(digest="digest")
UNDER_LINT = SimpleNamespace(line_of="the lines of its types", beside=())
CANDIDATE = SimpleNamespace(cil="plain CIL")
GOOD = "policy_module(web, 1.0)\ncontainer_domain_template(web)\n"


@pytest.fixture
def prepared(project: Project, base: BasePolicy, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with one policy `web`, whose last run had `base`. Compiling and linking always succeed."""
    write_headers(base.headers)
    (project.policies / "web.te").write_text(GOOD)
    monkeypatch.setattr(checking, "last_base", lambda *_: base)
    monkeypatch.setattr(toolchain, "missing_on_host", lambda *_: [])
    monkeypatch.setattr(checking, "compiled_all", lambda *_: [])
    monkeypatch.setattr(checking, "linked", lambda *_: LINKED)
    monkeypatch.setattr(checking, "unenterable", lambda *_: iter(()))
    monkeypatch.setattr(checking, "installed", lambda: False)
    return project


def refuse(monkeypatch: pytest.MonkeyPatch, stage: str, detail: str) -> None:
    def refused(*_: object) -> None:
        raise InputError("It is refused:", detail, "Do better.")

    monkeypatch.setattr(checking, stage, refused)


def seen(result: CheckResult) -> list[tuple[str, str, int]]:
    return [(finding.id, finding.file.name, finding.line) for finding in result.findings]


@pytest.mark.toolchain
def test_a_good_policy_has_no_finding(prepared: Project) -> None:
    result = check(prepared, ["web"], Progress())
    assert (result.findings, result.failed) == ([], False)


class Stages:
    """The stages of a check, without a compiler. Each notes what it was called with.

    linted, extra, barred: what the lint, SELint and the search for domains that cannot be entered find.
    refusals: the stages that refuse the policy, with the detail of their error.
    """

    def __init__(self, project: Project, base: BasePolicy, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: dict[str, list[tuple[Any, ...]]] = {}
        self.linted: list[Finding] = []
        self.extra: list[Finding] = []
        self.barred: list[Finding] = []
        self.refusals: dict[str, str] = {}
        self.selint = False
        self.project = project
        answers: dict[str, Callable[[], Any]] = {
            "last_base": lambda: base,
            "host_toolchain": lambda: "tools",
            "interface_table": lambda: "table",
            "vocabulary": lambda: "words",
            "module_interfaces": lambda: "own interfaces",
            "module_under_lint": lambda: UNDER_LINT,
            "lint": lambda: self.linted,
            "lint_cil": lambda: self.linted,
            "names_of_base": lambda: "names in CIL",
            "compiled_all": lambda: [CANDIDATE],
            "linked": lambda: LINKED,
            "linked_file": lambda: Path("/linked/digest"),
            "unenterable": lambda: iter(self.barred),
            "installed": lambda: self.selint,
            "selint": lambda: iter(self.extra),
        }
        for name, answer in answers.items():
            monkeypatch.setattr(checking, name, functools.partial(self._stage, name, answer))

    def _stage(self, name: str, answer: Callable[[], Any], *words: Any) -> Any:
        self.calls.setdefault(name, []).append(words)
        if name in self.refusals:
            raise InputError("It is refused:", self.refusals[name], "Do better.")
        return answer()

    def finding(self, line: int, severity: Severity = Severity.ERROR, id: str = "lint") -> Finding:
        return Finding(self.project.policies / "web.te", line, severity, id, "It is wrong.")


@pytest.fixture
def stages(project: Project, base: BasePolicy, monkeypatch: pytest.MonkeyPatch) -> Stages:
    """The stages of a check of the policy `web`."""
    (project.policies / "web.te").write_text(GOOD)
    (project.policies / "web.if").write_text("interface(`web_read',`')\n")
    return Stages(project, base, monkeypatch)


def test_a_policy_is_compiled_linked_and_linted_with_the_base_policy(
    project: Project, base: BasePolicy, stages: Stages
) -> None:
    stages.selint, progress = True, Progress()
    result = check(project, ["web"], progress)
    module = load_module(project, "web")
    state = project.state
    assert stages.calls == {
        "last_base": [(project, progress)],
        "host_toolchain": [(state / "policy", "A check", base.demands)],
        "interface_table": [(base,)],
        "vocabulary": [(base,)],
        "module_interfaces": [(base, {"web.if": "interface(`web_read',`')\n"})],
        "module_under_lint": [(module, base, "words", "table", "own interfaces")],
        "lint": [(UNDER_LINT,)],
        "compiled_all": [([module], base, "tools", state / "compiled")],
        "linked": [(base, [CANDIDATE], "tools")],
        "linked_file": [("tools", "digest")],
        "unenterable": [(project, module, base, [CANDIDATE], Path("/linked/digest"), UNDER_LINT.line_of)],
        "installed": [(), ()],
        "selint": [(module, base)],
    }
    assert (result.policies, result.remarks, result.failed) == ({"web": ()}, (), False)


def in_cil(project: Project, text: str = "(block web\n    (type process))\n") -> None:
    """Replace the policy `web` by one in CIL."""
    for ending in ("te", "if"):
        (project.policies / f"web.{ending}").unlink()
    (project.policies / "web.cil").write_text(text)


def test_a_policy_in_cil_is_built_and_asked_but_is_not_for_the_checks_of_a_te(
    project: Project, stages: Stages
) -> None:
    in_cil(project)
    stages.selint = True
    check(project, ["web"], Progress())
    assert {"lint", "selint"} & {*stages.calls} == set()
    *_, line_of = stages.calls["unenterable"][0]
    assert line_of("web.process") == 2


@pytest.mark.parametrize("language", ["te", "cil"])
def test_that_selint_is_missing_is_a_remark_about_a_te(
    project: Project, stages: Stages, language: str
) -> None:
    if language == "cil":
        in_cil(project)
    assert check(project, ["web"], Progress()).remarks == ((NO_SELINT,) if language == "te" else ())


def test_a_check_says_where_templates_come_from(project: Project, base: BasePolicy, stages: Stages) -> None:
    (base.directory / "templates").mkdir()
    (base.directory / "templates/base_container.cil").write_text("(block container (type process))")
    in_cil(project, "(block web (blockinherit container))")
    progress = Notes()
    check(project, ["web"], progress)
    assert progress.notes == ["The policy inherits templates of the guest: base_container."]
    (((module,), *_),) = stages.calls["compiled_all"]
    assert [each.directory for each in module.templates] == [GUEST_TEMPLATES]


def test_a_policy_in_cil_is_linted_with_what_it_compiles_to(
    project: Project, base: BasePolicy, stages: Stages
) -> None:
    in_cil(project)
    stages.linted = [stages.finding(2)]
    result = check(project, ["web"], Progress())
    subject = CilUnderLint(load_module(project, "web"), base, "names in CIL", (), "plain CIL")  # type: ignore[arg-type]
    assert (stages.calls["lint_cil"], result.findings) == ([(subject,)], stages.linted)


def test_a_policy_in_cil_that_does_not_compile_is_linted_without(project: Project, stages: Stages) -> None:
    in_cil(project)
    stages.refusals["compiled_all"] = "/p/policies/web.cil:2"
    check(project, ["web"], Progress())
    assert stages.calls["lint_cil"][0][0].plain is None


def test_a_policy_in_cil_that_another_one_requires_is_linted_as_such(
    project: Project, stages: Stages
) -> None:
    in_cil(project)
    (project.root / "selab.yaml").write_text("policies: {app: {requires: [web]}}\n")
    check(find_project(project.root), ["web"], Progress())
    assert stages.calls["lint_cil"][0][0].is_required


@pytest.mark.parametrize(
    ("names", "checked"), [([], ["app", "web"]), (["web"], ["web"]), (["web", "app", "web"], ["web", "app"])]
)
def test_the_named_policies_are_checked_once_or_all(
    project: Project, stages: Stages, names: list[str], checked: list[str]
) -> None:
    (project.policies / "app.te").write_text(GOOD.replace("web", "app"))
    result = check(project, names, Progress())
    assert list(result.policies) == checked
    assert [module.name for (module,), *_ in stages.calls["compiled_all"]] == checked


@pytest.mark.parametrize(("stage", "id"), [("compiled_all", "compile"), ("linked", "link")])
@pytest.mark.parametrize(
    ("linted", "ids"),
    [
        ([], ["{}"]),
        ([(3, Severity.ERROR)], ["{}", "lint"]),
        ([(2, Severity.WARNING)], ["{}", "lint"]),
        ([(2, Severity.ERROR)], ["lint"]),
    ],
    ids=["no lint", "another line", "a warning", "the same line"],
)
def test_a_refusal_is_a_finding_unless_the_lint_has_an_error_about_its_line(
    project: Project,
    stages: Stages,
    stage: str,
    id: str,
    linted: list[tuple[int, Severity]],
    ids: list[str],
) -> None:
    stages.linted = [stages.finding(line, severity) for line, severity in linted]
    stages.refusals = {stage: f"{project.policies}/web.te:2: bad line"}
    result = check(project, ["web"], Progress())
    assert [finding.id for finding in result.findings] == [each.format(id) for each in ids]
    assert result.failed


@pytest.mark.parametrize(
    ("replaced", "other", "ids", "links"),
    [
        ((), "app", [], True),
        (("web",), "app", ["replaces-module"], True),
        ((), "web", ["replaces-module"], False),
        ((), "common", ["replaces-module"], False),
    ],
    ids=["a name of its own", "left out of the base policy", "in the base policy", "of what it requires"],
)
def test_a_policy_with_the_name_of_a_module_of_the_base_policy_has_a_warning(
    project: Project,
    base: BasePolicy,
    stages: Stages,
    monkeypatch: pytest.MonkeyPatch,
    replaced: tuple[str, ...],
    other: str,
    ids: list[str],
    links: bool,
) -> None:
    (project.policies / "common.te").write_text(GOOD.replace("web", "common"))
    (project.root / "selab.yaml").write_text("policies: {web: {requires: [common]}}\n")
    (base.directory / "cil" / f"{other}.cil").touch()
    of_run = dataclasses.replace(base, facts=dataclasses.replace(base.facts, replaced=replaced))
    monkeypatch.setattr(checking, "last_base", lambda *_: of_run)
    result = check(find_project(project.root), ["web"], Progress())
    assert [(finding.id, finding.line) for finding in result.findings] == [(id, 0) for id in ids]
    assert ("linked" in stages.calls, result.failed) == (links, False)


def test_a_policy_with_the_name_of_a_module_is_linked_with_a_known_base_policy_without_it(
    project: Project, base: BasePolicy, stages: Stages, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lacking = write_base(tmp_path / "lacking")
    lacking = dataclasses.replace(lacking, facts=dataclasses.replace(lacking.facts, replaced=("web",)))
    (base.directory / "cil" / "web.cil").touch()
    monkeypatch.setattr(checking, "base_for", lambda _, __, names: {("web",): lacking}[names])
    result = check(project, ["web"], Progress())
    assert [finding.id for finding in result.findings] == ["replaces-module"]
    assert "not linked" not in result.findings[0].remedy
    assert stages.calls["linked"][0][0] is lacking


@pytest.mark.parametrize(
    ("severity", "failed"), [(Severity.ERROR, True), (Severity.WARNING, False), (Severity.NOTE, False)]
)
def test_only_an_error_fails_a_check(
    project: Project, stages: Stages, severity: Severity, failed: bool
) -> None:
    stages.linted = [stages.finding(1, severity)]
    assert check(project, ["web"], Progress()).failed is failed


@pytest.mark.parametrize(
    ("installed", "refusals", "ids"),
    [(True, {}, ["selint"]), (True, {"linked": "neverallow"}, ["link"]), (False, {}, [])],
    ids=["installed", "not linked", "not installed"],
)
def test_selint_reads_a_policy_that_was_built(
    project: Project, stages: Stages, installed: bool, refusals: dict[str, str], ids: list[str]
) -> None:
    stages.selint, stages.refusals = installed, refusals
    stages.extra = [stages.finding(0, id="selint")]
    result = check(project, ["web"], Progress())
    assert [finding.id for finding in result.findings] == ids
    assert ["SELint" in remark for remark in result.remarks] == [True] * (not installed)


@pytest.mark.parametrize(("refusals", "ids"), [({}, ["lint"]), ({"linked": "neverallow"}, ["link"])])
def test_a_policy_that_was_built_is_asked_whether_its_domains_can_be_entered(
    project: Project, stages: Stages, refusals: dict[str, str], ids: list[str]
) -> None:
    stages.refusals, stages.barred = refusals, [stages.finding(2, Severity.WARNING)]
    assert [finding.id for finding in check(project, ["web"], Progress()).findings] == ids


def test_sources_that_cannot_be_read_are_one_finding_about_their_file(
    project: Project, stages: Stages
) -> None:
    stages.refusals = {"module_interfaces": "it has no end"}
    (finding,) = check(project, ["web"], Progress()).findings
    assert (finding.id, finding.file) == ("source", project.policies / "web.te")
    assert stages.calls.keys().isdisjoint({"lint", "compiled_all"})


def test_what_the_operator_refuses_in_a_profile_is_a_warning_at_its_line(project: Project) -> None:
    (project.policies / "web.yaml").write_text(
        "apiVersion: security-profiles-operator.x-k8s.io/v1\nkind: SelinuxProfile\nmetadata: {name: web}\n"
        "spec:\n  allow:\n    etc_t:\n      security: [setenforce]\n"
    )
    findings = list(refused_by_operator(load_module(project, "web")))
    assert {(finding.file.name, finding.line, finding.id) for finding in findings} == {
        ("web.yaml", 7, "operator-refuses")
    }
    assert len(findings) == 2


def test_a_udica_policy_is_built_and_no_operator_refuses_it(
    project: Project, base: BasePolicy, stages: Stages
) -> None:
    for ending in ("te", "if"):
        (project.policies / f"web.{ending}").unlink()
    base.flat.write_text(base.flat.read_text() + "\n(portcon tcp 80 (u r http_port_t ((s0) (s0))))\n")
    (project.policies / "web.yaml").write_text(
        "kind: UdicaPolicy\ncapabilities: [mac_admin]\nports: [{port: 80}]\n"
    )
    assert check(project, ["web"], Progress()).findings == []
    (((module,), *_),) = stages.calls["compiled_all"]
    assert b"http_port_t (tcp_socket (name_bind))" in module.texts["cil"]


def test_a_path_of_a_udica_policy_without_a_context_is_a_finding_at_its_line(
    project: Project, base: BasePolicy, stages: Stages
) -> None:
    for ending in ("te", "if"):
        (project.policies / f"web.{ending}").unlink()
    file = project.policies / "web.yaml"
    file.write_text("kind: UdicaPolicy\nmounts:\n  - path: /srv/web\n")
    (finding,) = check(project, ["web"], Progress()).findings
    assert (finding.file, finding.line, finding.severity) == (file, 3, Severity.ERROR)


def test_an_unknown_policy_is_wrong_input(prepared: Project) -> None:
    with pytest.raises(InputError, match="no policy 'wob'"):
        check(prepared, ["wob"], Progress())


@pytest.mark.toolchain
@pytest.mark.parametrize(("function", "id"), [("compiled_all", "compile"), ("linked", "link")])
def test_a_refusal_is_a_finding_at_its_line(
    prepared: Project, monkeypatch: pytest.MonkeyPatch, function: str, id: str
) -> None:
    refuse(monkeypatch, function, f"{prepared.policies}/web.te:2: bad: line")
    result = check(prepared, ["web"], Progress())
    assert (seen(result), result.findings[0].message) == ([(id, "web.te", 2)], "It is refused: bad: line")


@pytest.mark.toolchain
def test_a_refusal_without_a_line_is_a_finding_about_the_file(
    prepared: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch, "linked", "neverallow check failed")
    result = check(prepared, ["web"], Progress())
    assert (seen(result), result.findings[0].message) == (
        [("link", "web.te", 0)],
        "It is refused: neverallow check failed",
    )


@pytest.mark.toolchain
def test_the_compilers_word_gives_way_to_the_lints_about_the_same_line(
    prepared: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    (prepared.policies / "web.te").write_text(GOOD + "files_red_etc_files(web_t)\n")
    refuse(monkeypatch, "compiled_all", f"{prepared.policies}/web.te:3: syntax error")
    assert seen(check(prepared, ["web"], Progress())) == [("unknown-interface", "web.te", 3)]


@pytest.mark.toolchain
def test_a_module_of_another_name_is_a_finding(prepared: Project) -> None:
    (prepared.policies / "web.te").write_text(GOOD.replace("(web,", "(wob,"))
    assert seen(check(prepared, ["web"], Progress())) == [("source", "web.te", 1)]


@pytest.mark.toolchain
def test_the_command_prints_a_line_and_a_remedy_and_fails(
    prepared: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(prepared.root)
    (prepared.policies / "web.te").write_text(GOOD + "files_red_etc_files(web_t)\n")
    code = run(["check", "web"])
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert "policies/web.te:3: error:" in first and "'files_red_etc_files'" in first
    assert (code, first.split()[-1], second) == (
        1,
        "[unknown-interface]",
        "    Did you mean files_read_etc_files(domain)?",
    )


@pytest.mark.toolchain
def test_the_command_prints_one_document(prepared: Project, capsys: pytest.CaptureFixture[str]) -> None:
    (prepared.policies / "web.te").write_text(GOOD + "allow web_t self:process *;\n")
    code = run(["-C", str(prepared.root), "check", "--json"])
    document = json.loads(capsys.readouterr().out)
    result = document["findings"][0]
    assert (code, document["schema"], document["policies"]) == (0, 1, ["web"])
    assert (
        result["policy"],
        Path(result["file"]).name,
        result["line"],
        result["severity"],
        result["id"],
    ) == (
        "web",
        "web.te",
        3,
        "warning",
        "wildcard",
    )


def test_where_no_project_has_had_a_run_one_is_asked_for(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SELAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(toolchain, "missing_on_host", lambda *_: [])
    (project.policies / "web.te").write_text(GOOD)
    assert run(["-C", str(project.root), "check"]) == 3
    assert "selab run" in capsys.readouterr().err
