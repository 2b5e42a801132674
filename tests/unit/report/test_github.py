"""A run as GitHub's workflow commands."""

from __future__ import annotations

import pytest

from selab.report.github import render
from selab.report.model import Report, ReportedRun, Source
from tests.unit.documents import DENIAL, MISSING, SETTLED, SEVERAL, document

TE = "policy_module(web, 1.0)\n\ntype web_t;\n"


def commands(**fields: object) -> list[str]:
    return render(Report((ReportedRun(document(**fields), (Source("web", TE),)),))).splitlines()


def messages(**fields: object) -> list[str]:
    return [command.partition("::")[2].partition("::")[2] for command in commands(**fields)]


def test_a_denial_of_a_policy_in_cil_is_shown_at_its_block() -> None:
    cil = "; mine\n(block web\n    (type process))\n"
    run = document(denials=[{**DENIAL, "source": "web.process"}])
    assert render(Report((ReportedRun.of(run, {"cil": cil}),))).startswith(
        "::error file=policies/web.cil,line=2,"
    )


def test_a_denial_points_to_its_domain_in_the_policy() -> None:
    command = commands()[0]
    assert command.startswith("::error file=policies/web.te,line=3,title=")


@pytest.mark.parametrize("text", ["100%", "a:b", "a,b"])
def test_a_property_is_escaped_as_githubs_toolkit_does_it(text: str) -> None:
    command = commands(verdict="ERROR", denials=[], scenario=text)[0]
    encoded = text.replace("%", "%25").replace(":", "%3A").replace(",", "%2C")
    assert f",title=selab {encoded}%3A ERROR::" in command


def test_a_tolerated_denial_is_a_notice_at_its_line_and_an_expected_one_is_none() -> None:
    (notice,) = commands(**SETTLED)
    assert notice.startswith("::notice file=policies/web.te,line=3,title=Tolerated SELinux denial::")
    assert notice.endswith("tolerated by * -> proc_t:file { read }: it only counts processors")


def test_an_expected_denial_that_did_not_occur_is_an_error_with_its_entry() -> None:
    (command,) = commands(**SETTLED | {"denials": [], "missing": [MISSING]})
    assert command.startswith("::error file=policies/web.te,line=1,title=Expected denial did not occur::")
    assert command.endswith(f"::{MISSING['entry']}: {MISSING['reason']}")


def test_a_fail_with_a_denial_shows_the_denial_alone() -> None:
    assert ["http_port_t" in message for message in messages()] == [True]


def test_a_fail_without_a_denial_shows_its_reasons() -> None:
    assert messages(denials=[], reasons=["step 'page' failed"]) == ["step 'page' failed"]


def test_an_error_shows_its_reasons_beside_the_denials() -> None:
    shown = messages(verdict="ERROR", reasons=["records were lost"])
    assert len(shown) == 2 and shown[1] == "records were lost"


def test_a_pass_shows_nothing() -> None:
    assert messages(verdict="PASS", denials=[], reasons=["fine"]) == []


@pytest.mark.parametrize(("text", "escaped"), [("100%", "100%25"), ("a\nb", r"a\nb")])
def test_a_message_stays_one_line(text: str, escaped: str) -> None:
    assert messages(denials=[], reasons=[text]) == [escaped]


def test_a_denial_is_at_the_policy_of_the_container_that_was_denied() -> None:
    sources = (Source("web", TE), Source("db", "type db_t;\n"))
    lines = render(Report((ReportedRun(document(**SEVERAL), sources),))).splitlines()
    assert [line.partition(",title")[0] for line in lines] == [
        "::error file=policies/web.te,line=3",
        "::error file=policies/db.te,line=1",
        "::error file=policies/web.te,line=1",
    ]
