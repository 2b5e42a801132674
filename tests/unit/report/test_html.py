"""The page for a reviewer."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner

from selab.advice.advise import Advice
from selab.advice.denied_access import DeniedAccess
from selab.advice.remedy import Kind, Remedy
from selab.cli.root import cli
from selab.history import Record
from selab.matrix.plan import Ended
from selab.policy.query.decide import Cause
from selab.report.html import render
from selab.report.model import MARKER, Report, ReportedRun, Source
from tests.unit.documents import CLASSIFIED, DENIAL, EXPECTED, MISSING, SETTLED, SEVERAL, document
from tests.unit.matrix.fakes import ended

HOSTILE = "<script>alert(1)</script>\x1b[31m\"'`"


def page(runs: Sequence[ReportedRun]) -> str:
    return render(Report(tuple(runs)))


class Tags(HTMLParser):
    """The tags of a page, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_what_others_have_said_is_text() -> None:
    hostile = {**DENIAL, "comm": HOSTILE, "path": HOSTILE, "source": HOSTILE, "target": HOSTILE}
    made = Tags(
        page(
            [
                ReportedRun(
                    document(denials=[hostile], reasons=[HOSTILE], scenario=HOSTILE),
                    (Source("web", HOSTILE),),
                    records=(HOSTILE,),
                )
            ]
        )
    )
    assert (made.tags.count("script"), "\x1b" in made.text) == (1, False)


def test_only_its_own_script_and_style_may_run() -> None:
    made = page([ReportedRun(document())])
    for tag in ("script", "style"):
        inside = re.search(rf"<{tag}>(.*?)</{tag}>", made, re.DOTALL)
        assert (
            inside
            and base64.b64encode(hashlib.sha256(inside[1].encode()).digest()).decode()
            in made.split("<title>")[0]
        )


def test_it_loads_nothing() -> None:
    assert not re.search(r"(src|href)=\"(?!#)", page([ReportedRun(document())]))


def test_every_heading_of_a_table_has_a_scope() -> None:
    assert not re.search(
        r"<th(?! scope=)",
        page([ReportedRun(document()), ReportedRun(document(run="b"))]).replace("<thead", ""),
    )


def test_the_line_that_names_what_was_denied_is_marked() -> None:
    made = page(
        [
            ReportedRun(
                document(),
                (Source("web", "policy_module(web, 1.0)\nallow web_t http_port_t:tcp_socket name_bind;\n"),),
            )
        ]
    )
    assert re.findall(r'class="matters"><span class="no">(\d+)</span>([^<]*)<', made) == [
        ("2", "allow web_t http_port_t:tcp_socket name_bind;")
    ]


def test_a_denial_that_the_policy_allows_by_now_says_so() -> None:
    need = DeniedAccess(1, "web_t", "http_port_t", "tcp_socket", frozenset({"name_bind"}))
    made = page([ReportedRun(document(denials=[DENIAL]), advice=(Advice(need, "", Cause.NONE, ()),))])
    assert "<td>allowed by the policy as it is on disk now</td>" in made


def test_what_selab_suggested_is_marked_from_its_first_line_to_its_last() -> None:
    te = "x\n# selab suggest: begin\nallow a_t b_t:file read;\n# selab suggest: end\ny\n"
    text = page([ReportedRun(document(denials=[]), (Source("web", te),))])
    assert re.findall(r'class="matters"><span class="no">(\d+)<', text) == ["2", "3"]
    assert re.findall(r'<span class="no">(\d+)</span>([xy])', text) == [("1", "x"), ("5", "y")]


def test_a_line_that_names_the_domain_alone_is_not_marked() -> None:
    own = {**DENIAL, "target": "web_t"}
    text = page([ReportedRun(document(denials=[own]), (Source("web", "type web_t;\n"),))])
    assert 'class="matters"' not in text


def test_a_row_has_its_advice_by_its_number() -> None:
    hidden = {**DENIAL, "target": "shadow_t"}
    needs = [DeniedAccess(number, "web_t", "x_t", "file", frozenset({"read"})) for number in (2, 1)]
    advice = tuple(
        Advice(need, f"stopped {need.number}", Cause.RULE, (Remedy(Kind.RULE, f"allow {need.number};"),))
        for need in needs
    )
    text = page([ReportedRun(document(hidden=[hidden]), advice=advice)])
    rows = re.findall(
        r'<tr><td class="number">(\d)<.*?<code>allow (\d);</code>.*?<p>stopped (\d)</p>', text, re.S
    )
    assert rows == [("1", "1", "1"), ("2", "2", "2")]


def test_a_row_shows_the_whole_denial() -> None:
    denial = {**DENIAL, "permissions": ["bind", "connect"], "count": 7, "comm": "nginx"}
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", page([ReportedRun(document(denials=[denial]))]))
    row = cells.index("http_port_t:tcp_socket")
    assert cells[row - 2 : row + 3] == ["1", "web_t", "http_port_t:tcp_socket", "bind connect", "7"]


def test_the_picture_has_a_curve_for_each_denial_between_its_two_names() -> None:
    shown, hidden = {**DENIAL, "permissions": ["a", "b"]}, {**DENIAL, "source": "app_t", "target": "web_t"}
    text = page([ReportedRun(document(denials=[shown], hidden=[hidden]))])
    curves = re.findall(
        r'<path class="curve" d="M230 (\d+) .* (\d+)" stroke-width="(\d+)"><title>(.*)</title>', text
    )
    names = {name: int(y) - 4 for y, name in re.findall(r'<text x="\d+" y="(\d+)"[^>]*>([\w:]+)<', text)}
    assert [(int(start), int(end), width, title) for start, end, width, title in curves] == [
        (names["web_t"], names["http_port_t:tcp_socket"], "3", "web_t http_port_t:tcp_socket a b"),
        (names["app_t"], names["web_t:tcp_socket"], "2", "app_t web_t:tcp_socket name_bind"),
    ]
    assert len(set(names.values())) == 2 and all(0 < y < 72 for y in names.values())


def test_the_chart_compares_each_run_with_the_one_before() -> None:
    other = {**DENIAL, "target": "shadow_t"}
    runs = [
        ReportedRun(document(run="a", denials=[DENIAL, {**DENIAL, "target": "x_t"}])),
        ReportedRun(document(run="b", denials=[DENIAL, other, EXPECTED])),
        ReportedRun(document(run="c", mode="permissive", verdict="PASS", denials=[])),
    ]
    text = page(runs)
    bars = re.findall(r'<rect class="(\w+)" x="(\d+)" y="\d+" width="44" height="(\d+)"', text)
    assert bars == [
        *(("old", "0", "80"), ("new", "0", "0")),
        *(("old", "54", "80"), ("new", "54", "40")),
        *(("old", "108", "0"), ("new", "108", "0")),
    ]
    rows = re.findall(r'<tr><td class="id"><a href="#run(\d)">(.*?)</tr>', text)
    assert [(number, re.findall(r"(?<=>)[\w]*(?=</(?:code|td)>)", row)) for number, row in rows] == [
        ("1", ["a", "", "web", "enforcing", "FAIL", "2", "2", "", ""]),
        ("2", ["b", "", "web", "enforcing", "FAIL", "3", "2", "1", "1"]),
        ("3", ["c", "", "web", "permissive", "PASS", "0", "0", "0", "3"]),
    ]


def test_a_cell_of_a_matrix_has_its_verdict_and_a_link_to_its_run() -> None:
    results = [
        ended(verdict="FAIL", number=5),
        ended(policy="draft", verdict="FAIL", expected="FAIL", number=6),
        ended("app", mode="permissive"),
    ]
    runs = [ReportedRun(each.result.document) for each in results if isinstance(each.result, Record)]
    text = render(Report(tuple(runs), tuple(results)))
    assert re.findall(
        r'<span class="verdict (\w+)">([\w, ]+)</span>(?: <a href="#run(\d)">([\w ]+)<)?', text
    )[1:4] == [
        ("FAIL", "FAIL", "1", " 1 denial"),
        ("PASS", "FAIL, as expected", "2", " 1 denial"),
        ("ERROR", "ERROR", "", ""),
    ]
    assert re.findall(r'<tr><th scope="row">(\w+)</th><td>(\w+)</td>', text) == [
        ("web", "full"),
        ("web", "draft"),
        ("app", "full"),
    ]
    assert re.findall(r'<th scope="col">(enforcing|permissive) auto</th>', text) == [
        "enforcing",
        "permissive",
    ]
    assert "<li>app full permissive auto: The VM did not come. a detail</li>" in text


def test_of_several_runs_the_newest_comes_first_and_all_are_compared() -> None:
    made = page([ReportedRun(document(run="one")), ReportedRun(document(run="two", denials=[]))])
    assert made.index('id="run2"') < made.index('id="run1"') and "Denials from run to run" in made


def test_a_file_that_selab_did_not_write_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "selab.yaml").write_text("")
    (tmp_path / "mine.html").write_text("mine")
    done = CliRunner().invoke(cli, ["-C", str(tmp_path), "report", "--html", str(tmp_path / "mine.html")])
    assert (
        "has not written" in str(getattr(done.exception, "what", ""))
        and (tmp_path / "mine.html").read_text() == "mine"
    )


@pytest.mark.parametrize("count", [1, 3])
def test_it_is_known_again(count: int) -> None:
    assert MARKER in page([ReportedRun(document(run=str(number))) for number in range(count)])[:200]


def test_a_row_says_which_entry_tolerates_or_expects_the_denial() -> None:
    text = Tags(page([ReportedRun(document(**CLASSIFIED))])).text
    assert "tolerated by * -> proc_t:file { read }: it only counts processors" in text
    assert "expected by web_t -> shadow_t:file { read }: passwords stay secret" in text


def test_a_missing_denial_is_named_with_its_entry() -> None:
    text = Tags(page([ReportedRun(document(**CLASSIFIED))])).text
    assert f"{MISSING['entry']}: {MISSING['reason']}" in text


def test_a_new_tolerated_denial_is_not_red() -> None:
    runs = [ReportedRun(document(denials=[])), ReportedRun(document(run="b", **SETTLED))]
    heights = re.findall(r'<rect class="new"[^>]*height="(\d+)"', page(runs))
    assert heights == ["0", "0"]


def test_only_an_unexpected_denial_marks_a_line_of_the_policy() -> None:
    te = "allow web_t proc_t:file read;\nallow web_t http_port_t:tcp_socket name_bind;\n"
    text = page([ReportedRun(document(**CLASSIFIED), (Source("web", te),))])
    assert re.findall(r'class="matters"><span class="no">(\d+)', text) == ["2"]


@pytest.mark.parametrize(
    ("results", "verdict"),
    [
        ([ended(verdict="PASS"), ended("app")], "ERROR"),
        ([ended(verdict="FAIL"), ended("app", verdict="ERROR", expected="FAIL")], "ERROR"),
        ([ended(verdict="FAIL"), ended("app", verdict="PASS")], "FAIL"),
        ([ended(verdict="FAIL", expected="FAIL"), ended("app", verdict="PASS")], "PASS"),
    ],
    ids=["no run", "error", "fail", "as expected"],
)
def test_the_heading_of_a_matrix_is_the_verdict_on_all_of_its_runs(
    results: list[Ended], verdict: str
) -> None:
    runs = [ReportedRun(each.result.document) for each in results if isinstance(each.result, Record)]
    text = render(Report(tuple(runs), tuple(results)))
    assert re.findall(r"<h1>(\w+): <span class=\"verdict (\w+)\">(\w+)<", text) == [
        ("Matrix", verdict, verdict)
    ]


def test_only_a_hidden_denial_is_reported_as_hidden() -> None:
    text = page([ReportedRun(document(hidden=[{**DENIAL, "target": "shadow_t"}]))])
    rows = re.findall(r"<tr><td class=\"number\">(\d+)<.*?</tr>", text, re.DOTALL)
    hidden = re.findall(r">(\w+):tcp_socket<[^\n]*hidden by dontaudit", text)
    assert (rows, hidden) == (["1", "2"], ["shadow_t"])


def test_several_containers_and_their_policies_are_shown() -> None:
    sources = (Source("web", "type web_t;\n"), Source("db", "type db_t;\n"))
    made = page([ReportedRun(document(**SEVERAL), sources)])
    assert re.findall(r'<th scope="row">(\w+)</th><td>(\w+)</td>', made) == [
        ("front", "web"),
        ("back", "db"),
        ("log", "none"),
    ]
    assert re.findall(r"<h3>(policies/[^<]*)</h3>", made) == ["policies/web.te", "policies/db.te"]
