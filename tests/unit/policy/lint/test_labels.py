"""File contexts: lines that do not parse, and contexts with undeclared types."""

from __future__ import annotations

import pytest

from .conftest import DOMAIN, Lint, outline

pytestmark = pytest.mark.toolchain


@pytest.mark.parametrize(
    ("line", "id"),
    [
        ("/web", "fc-syntax"),
        ("/web -q gen_context(u:object_r:web_t,s0)", "fc-syntax"),
        ("/web -- web_t", "fc-syntax"),
        ("web gen_context(u:object_r:web_t,s0)", "fc-syntax"),
        ("/web -- gen_context(u:object_r:web_t,s0) x", "fc-syntax"),
        ("/we(b -- gen_context(u:object_r:web_t,s0)", "fc-pattern"),
        ("/web -- gen_context(u:object_r:wob_t,s0)", "fc-type"),
        ("/web -- u:object_r:wob_t:s0", "fc-type"),
    ],
)
def test_a_wrong_line_of_file_contexts_is_an_error(linted: Lint, line: str, id: str) -> None:
    assert outline(linted(DOMAIN, fc=f"# web\n{line}\n")) == [("error", id, 2)]


@pytest.mark.parametrize(
    "text",
    [
        "/web(/.*)?\t--\tgen_context(u:object_r:web_t,s0,c0)",
        "/web -d <<none>>",
        "HOME_DIR/web u:object_r:etc_t:s0",
        "ifdef(`x',`\n/web gen_context(u:object_r:web_t,s0)\n',`\n/web <<none>>\n')",
        "\n# /web",
    ],
)
def test_a_right_line_of_file_contexts_is_none(linted: Lint, text: str) -> None:
    assert linted(DOMAIN, fc=text + "\n") == []


@pytest.mark.parametrize(
    ("type_", "remedy"),
    [("wob_t", "Did you mean 'web_t'?"), ("zzzzzzzz", "Declare it in the .te.")],
)
def test_an_undeclared_type_is_reported_with_a_remedy(linted: Lint, type_: str, remedy: str) -> None:
    (finding,) = linted(DOMAIN, fc=f"/web gen_context(u:object_r:{type_},s0)\n")
    assert (finding.file.name, finding.remedy) == ("web.fc", remedy)


def test_a_type_of_the_base_policy_and_of_a_required_module_is_declared(linted: Lint) -> None:
    fc = "/a gen_context(u:object_r:etc_t,s0)\n/b gen_context(u:object_r:common_t,s0)\n"
    assert linted(DOMAIN, fc=fc, requires="policy_module(common, 1.0)\ntype common_t;\n") == []
