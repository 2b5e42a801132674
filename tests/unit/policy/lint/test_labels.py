"""File contexts: lines that do not parse, undeclared types, conflicts, and paths that never match."""

from __future__ import annotations

import pytest

from selab.policy.base import BasePolicy

from .conftest import DOMAIN, Lint, outline


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
        pytest.param(
            "ifdef(`x',`\n/web gen_context(u:object_r:web_t,s0)\n',`\n/web <<none>>\n')",
            marks=pytest.mark.toolchain,
        ),
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


FCMACRO = """\
define(`fcm',`/srv/$1(/.*)?	gen_context(system_u:object_r:web_t,s0)')dnl
fcm(alpha)
fcm(beta)
"""


@pytest.mark.toolchain
def test_a_macro_that_the_file_contexts_define_is_no_fault(linted: Lint) -> None:
    assert linted(DOMAIN, fc=FCMACRO) == []


@pytest.mark.toolchain
def test_the_output_of_a_macro_is_checked_at_the_line_of_its_call(linted: Lint) -> None:
    wrong = linted(DOMAIN, fc=FCMACRO.replace("object_r:web_t", "object_r:wob_t"))
    assert outline(wrong) == [("error", "fc-type", 2), ("error", "fc-type", 3)]


@pytest.mark.toolchain
def test_a_line_inside_a_build_condition_is_reported_with_its_own_number(linted: Lint) -> None:
    fc = (
        "ifdef(`enable_mcs',`\n/a gen_context(u:object_r:web_t,s0)\n/b gen_context(u:object_r:wob_t,s0)\n')\n"
    )
    assert outline(linted(DOMAIN, fc=fc)) == [("error", "fc-type", 3)]


@pytest.mark.parametrize(
    ("path", "quoted"),
    [
        ("/srv/interface", "/srv/`interface'"),
        ("/srv/divert/x", "/srv/`divert'/x"),
        ("/srv/index(/.*)?", "/srv/`index'(/.*)?"),
        ("HOME_DIR/template", "HOME_DIR/`template'"),
    ],
)
def test_a_word_that_m4_replaces_in_a_path_is_named_with_its_line(
    linted: Lint, path: str, quoted: str
) -> None:
    context = "gen_context(system_u:object_r:web_t,s0)"
    (finding,) = linted(DOMAIN, fc=f"/srv/other {context}\n{path} {context}\n")
    assert (finding.id, finding.file.name, finding.line, quoted in finding.remedy) == (
        "fc-macro",
        "web.fc",
        2,
        True,
    )


@pytest.mark.parametrize("path", ["/srv/`interface'", "/srv/index.html", "/srv/interfaces", "/srv/len"])
def test_a_word_that_m4_leaves_in_a_path_is_no_fault(linted: Lint, path: str) -> None:
    assert linted(DOMAIN, fc=f"{path} gen_context(system_u:object_r:web_t,s0)\n") == []


@pytest.mark.toolchain
def test_file_contexts_that_m4_cannot_read_are_reported_at_their_line(linted: Lint) -> None:
    findings = linted(DOMAIN, fc="/srv/a <<none>>\n/srv/a`b <<none>>\n")
    assert outline(findings) == [("error", "fc-syntax", 2)]


def test_two_contexts_for_one_path_in_a_file_are_an_error_with_both_lines(linted: Lint) -> None:
    context = "gen_context(u:object_r:{},s0)"
    fc = f"/a -- {context.format('web_t')}\n/b <<none>>\n/a -- {context.format('etc_t')}\n"
    (finding,) = linted(DOMAIN, fc=fc)
    assert (finding.id, finding.line, "in line 1" in finding.message) == ("fc-conflict", 3, True)


@pytest.mark.parametrize("second", ["/a -- u:object_r:web_t:s0", "/a -d u:object_r:etc_t:s0", "/b <<none>>"])
def test_entries_that_do_not_contradict_each_other_are_no_fault(linted: Lint, second: str) -> None:
    assert linted(DOMAIN, fc=f"/a -- u:object_r:web_t:s0\n{second}\n") == []


def test_a_context_that_contradicts_the_base_policys_is_an_error(linted: Lint, base: BasePolicy) -> None:
    files = base.directory / "contexts" / "files"
    files.mkdir(parents=True)
    (files / "file_contexts").write_text("/usr/libexec/docker/.*\t--\tu:object_r:etc_t:s0\n")
    (finding,) = linted(DOMAIN, fc="/usr/libexec/docker/.*\t--\tgen_context(u:object_r:web_t,s0)\n")
    assert (finding.id, finding.line) == ("fc-conflict", 1)
    assert "u:object_r:etc_t:s0 in the base policy" in finding.message


def test_a_context_that_contradicts_a_required_modules_is_an_error(linted: Lint, base: BasePolicy) -> None:
    common = "policy_module(common, 1.0)\ntype common_t;\n"
    (finding,) = linted(
        DOMAIN, fc="/a <<none>>\n", requires=common, requires_fc="\n/a gen_context(u:object_r:common_t,s0)\n"
    )
    assert (finding.id, "/p/common.fc:2" in finding.message) == ("fc-conflict", True)


@pytest.fixture
def equivalences(base: BasePolicy) -> None:
    files = base.directory / "contexts" / "files"
    files.mkdir(parents=True)
    (files / "file_contexts.subs_dist").write_text(
        "# aliases\n/bin /usr/bin\n/sbin /usr/sbin\n/lib /usr/lib\n"
        "/var/run /run\n/etc/init.d /etc/rc.d/init.d\n"
    )


@pytest.mark.usefixtures("equivalences")
@pytest.mark.parametrize(
    ("path", "right"),
    [
        ("/bin/web", "/usr/bin/web"),
        ("/sbin", "/usr/sbin"),
        ("/lib(/.*)?", "/usr/lib(/.*)?"),
        ("/var/run/web\\.pid", "/run/web\\.pid"),
        ("/etc/init\\.d/web", "/etc/rc\\.d/init\\.d/web"),
    ],
)
def test_a_path_under_an_equivalence_is_reported_with_the_path_to_write(
    linted: Lint, path: str, right: str
) -> None:
    (finding,) = linted(DOMAIN, fc=f"{path} gen_context(u:object_r:web_t,s0)\n")
    assert (finding.id, finding.remedy) == ("fc-equivalence", f"Write {right} instead.")


@pytest.mark.usefixtures("equivalences")
@pytest.mark.parametrize("path", ["/binary", "/bin.*", "/(usr/)?lib/web", "/run/web"])
def test_a_path_that_no_equivalence_covers_is_no_fault(linted: Lint, path: str) -> None:
    assert linted(DOMAIN, fc=f"{path} gen_context(u:object_r:web_t,s0)\n") == []


@pytest.mark.usefixtures("equivalences")
def test_a_path_under_an_equivalence_beside_the_right_path_is_no_fault(linted: Lint) -> None:
    context = "gen_context(u:object_r:web_t,s0)"
    assert linted(DOMAIN, fc=f"/bin/web {context}\n/usr/bin/web {context}\n") == []
