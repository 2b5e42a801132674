"""All readers of foreign text, in one table, and words of which their hostile inputs are made."""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from selab.advice.cil_offers import offers
from selab.auditlog.attribution import Party, Scope, attribute
from selab.auditlog.context import Context, mcs_separated
from selab.auditlog.journal import raw_from_journal
from selab.auditlog.records import parse_line
from selab.auditlog.summary import summarise
from selab.auditlog.windows import AuditStatus, OpenWindow, close_window
from selab.container.lifecycle import Container
from selab.container.log_search import LogSearch
from selab.container.runtime import runtimes
from selab.container.steps import run_steps
from selab.guest import Completed, _parts
from selab.history import StoredRun
from selab.host import yamlfile
from selab.images.rootfs import _deb822, _one_line
from selab.images.source import read_dockerfile
from selab.matrix.model import Matrix
from selab.policy import portable_file
from selab.policy.base import BasePolicy
from selab.policy.contexts import runtime_type
from selab.policy.fc_source import WrittenEntries, expanded_lines, macro_words, rewritten
from selab.policy.filecon import filecons, read_specs
from selab.policy.flat import dangling_names, flatten
from selab.policy.guest.drift import _changes
from selab.policy.language import cil_units
from selab.policy.language.cil import statements as cil_statements
from selab.policy.language.cil_names import Vocabulary
from selab.policy.language.cil_permissions import Permissions
from selab.policy.language.cil_source import parse, walk
from selab.policy.language.cil_tree import plain_statements
from selab.policy.language.declarations import Declarations, read_candidates, read_flat
from selab.policy.language.headers import headings
from selab.policy.language.statements import parse as parse_statements
from selab.policy.language.te import items, tokens
from selab.policy.language.units import narrowed, units, without
from selab.policy.lint.cil import CilUnderLint, lint_cil
from selab.policy.lint.selint import _findings
from selab.policy.macros import build_options
from selab.policy.module import PolicyModule
from selab.policy.module_files import DECLARED_NAME
from selab.policy.pattern import compiled_pattern
from selab.policy.query.index import PolicyIndex
from selab.policy.selinux_profile import translated
from selab.policy.survey import StoreFacts, _facts
from selab.policy.tool_messages import LinkedSource, compile_error, link_error
from selab.policy.udica_policy import MOST
from selab.policy.udica_policy import translated as translated_of_udica
from selab.project import ProjectConfig
from selab.run.verdict import classify
from selab.scaffold.compose.healthcheck import add_health
from selab.scaffold.compose.interpolation import defaulted, interpolate
from selab.scaffold.container_builder import ContainerBuilder
from selab.scaffold.image_config import of_inspect, of_instructions
from selab.scaffold.inspected.output import parse_container
from selab.scaffold.inspected.pod_output import parse_pod
from selab.scaffold.kube.container import add_container
from selab.scaffold.kube.manifest import Workload
from selab.scaffold.secret import has_secret, is_secret_name, is_secret_value
from selab.scaffold.security_label import add_label
from selab.scenario.expect import Expect
from selab.scenario.model import Scenario
from selab.service.description import _description
from selab.service.lifecycle import _fields
from selab.vm.host_keys import _plain_lines
from selab.vm.ssh_config import _with_includes
from selab.vm.vagrant import _Commands
from tests.unit.fakes import FakeGuest
from tests.unit.policy.store import archive

SCOPE = Scope((Party("web_t", "s0:c1,c2"),), frozenset({"web_t"}))
EXPECT = Expect.model_validate(
    {"denials": [{"permissions": ["read"], "reason": "why"}, {"path": "/x", "as": "expect", "reason": "why"}]}
)
OPENED = OpenWindow("token", AuditStatus(1, 1, 0), 1, 1)
CONTEXTS = "scontext=u:r:web_t:s0:c1,c2 tcontext=u:r:etc_t:s0:c1 tclass=file"


def lines(text: str) -> list[bytes]:
    return text.encode("utf-8", "surrogateescape").splitlines(keepends=True)


def te_units(text: str) -> object:
    every = units(text)
    return without(text, every[::2]), narrowed(text, {"file": {"read"}})


def close(text: str) -> object:
    answer = b"enabled 1\npid 1\nlost 0\nmode 1\nwindow\n" + text.encode()
    return close_window(OPENED).read(Completed((), 0, answer, b""))


AUDIT = (
    "type=AVC msg=audit(1.100:1): avc:  denied  { read } for  pid=1 " + CONTEXTS + "\n",
    "type=USER_AVC msg=audit(1.100:1): pid=1 msg='avc:  denied  { read } for " + CONTEXTS + "'\n",
    "type=SELINUX_ERR msg=audit(1.100:1): op=setxattr invalid_context=x\n",
    "type=SYSCALL msg=audit(1.100:1): subj=u:r:web_t:s0:c1,c2 pid=1\n",
    "type=PATH msg=audit(1.100:2): item=0 inode=5\n",
    "audit(1:1): ",
    "audit(1:1): avc: denied ",
    "audit: type=1400 ",
    "msg='",
    "'",
    '"',
    "a",
    "a:",
    " a=",
    "node=",
    "{ ",
    " ",
    "\n",
    "type=",
    "invalid context ",
    "security_compute_sid: ",
    '{"log":"',
    '{"a":',
    '\\n"}',
    "SELINUX_ERR op=",
    'cmdline="',
    "avc:  denied ",
    "audit: audit_lost=1 ",
    "imjournal ",
)
TE = (
    "allow a_t b_t:file { read write };\n",
    "type a_t;\n",
    "gen_require(`\n\ttype a_t;\n')\n",
    "optional_policy(`\n",
    "')\n",
    "if (a) {\n",
    "} else {\n",
    "optional {\n",
    "}\n",
    "f(a, b)\n",
    "f(",
    "interface(`a',`\n",
    "## <summary>x</summary>\n",
    "policy_module(",
    "module ",
    "# comment\n",
    "\n",
    " ",
    "\t",
    '"',
    "`",
    "'",
    "a",
    ":",
    ";",
    "{ a ",
    "-",
    "~",
)
CIL = (
    "(type a_t)\n",
    "(allow a_t b_t (file (read)))\n",
    '(filecon "/a(/.*)?" any (u r a_t ((s0) (s0))))\n',
    "(optional a\n",
    "(typeattributeset cil_gen_require (a_t))\n",
    "(booleanif (not a) (true (allow a_t b_t (file (read)))))\n",
    "(",
    ")",
    ")\n",
    "and ",
    "not ",
    "\n",
    " ",
    '"',
    ";",
    "a",
)
FC = ("/a(/.*)?", "(a+)+", "(a|a)*", ".*", "a", "[^/]+", "(", ")", "\\", " ", "\n", "gen_context(", "a:b:c")
YAML = (
    "a: 1\n",
    "- a\n",
    "[",
    "{",
    "]",
    '"',
    "&a ",
    "*a\n",
    " ",
    "\n",
    "#",
    "a",
    ": ",
    "|\n",
    "!!",
    "1_",
    "0:",
)
VARIABLES = (
    "${A:-",
    "}",
    "$A",
    "$",
    "${",
    "pwd",
    "=",
    ":",
    "@",
    "://",
    "label:",
    "type:",
    "Aa",
    "A",
    " ",
    "/",
)
DOCKER = (
    "FROM debian:trixie\n",
    "EXPOSE 80/tcp ",
    "VOLUME [",
    '"a"',
    "\\\n",
    " ",
    "\n",
    "a",
    "#",
    "-",
    "ENV ",
)
JOURNAL = (
    '{"_TRANSPORT": "kernel", "MESSAGE": "audit: type=1400 audit(1.1:1): avc: denied"}\n',
    '{"_TRANSPORT": "audit", "MESSAGE": [1, 2]}\n',
    "[",
    '{"a":',
    "}",
    "1",
    "\n",
    '"',
)
LEVELS = ("c0.c1023,", "c0.c65535,", "c1,", "c5.c6,", "c9", ".", ",")

JSON = (
    *JOURNAL,
    '{"Config": {"Env": ["A=b"]}}',
    "[{",
    "}]",
    '"a": ',
    "null,",
    "1e9,",
    "{},",
    "[],",
    "\\u0041",
)
SETTINGS = ("TYPE = mcs\n", "override ", "A ?= ", "a=", "=", ":", "#", " ", "\t", "\n", "a")
SSH = (
    "Host a\n",
    "Match host ",
    "Include ",
    "  Port 22\n",
    "IdentityFile /a\n",
    "a",
    " ",
    "\n",
    "*",
    '"',
    "=",
    "# ",
)
VAGRANT = ("1,a,state,running\n", "1,,ui,x\n", ",", "a", "\n", "%!(VAGRANT_COMMA)", "\\n")
ANSWER = (
    "type test\n",
    "policyvers 33\n",
    "mls 1\n",
    "store\n",
    "s\n",
    "a" * 64 + "  x\n",
    " ",
    "\n",
    "a",
    "-1 ",
    "403",
)
MANIFESTS = (
    *JSON,
    '{"files": {"flat.cil": "',
    '"dangling": ["a_t", ',
    '"system": "',
    "a" * 64,
    "\0",
)
TOKEN = "0123456789ab"
PARTS = (f"{TOKEN} 0\n", f"{TOKEN} 7\n", f"{TOKEN} ", TOKEN, "a", "\n", " 0\n")
SELINT = ("/a.te: 1: (W): x (W-001)\n", "/a.te:", ": 1", ": (S): ", " (S-001)", "a", " ", "\n", "(")


def from_file(read: Callable[[Path], object], name: str = "file") -> Callable[[str], object]:
    """Return a reader of a file's text."""

    def reader(text: str) -> object:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
            return read(path)

    return reader


def vagrant(method: str) -> Callable[[str], object]:
    """Return a method of the class `_Commands` that reads what Vagrant printed."""
    reader: Callable[[str], object] = getattr(object.__new__(_Commands), method)
    return reader


def step(action: dict[str, Any], code: int = 0) -> Callable[[str], object]:
    """Return a reader that does a step, for which the guest answers with the text."""
    scenario = Scenario.model_validate({"image": "x", "steps": [action]})

    def reader(text: str) -> object:
        guest = FakeGuest()
        guest.answer("test -e", code=1)
        guest.answer("", out=text, err=text, code=code)
        return list(run_steps(guest, scenario, {"": Container("web", 1, runtimes()["docker"])}, Path()))

    return reader


def log(text: str) -> object:
    """Read a log that arrives in 50 parts."""
    size = len(text) // 50 + 1
    guest = FakeGuest()
    parts = iter([text[at : at + size] for at in range(0, len(text), size)])
    guest.rules.append((("logs",), lambda argv: (0, next(parts, ""), "")))
    search = LogSearch(guest, Container("web", 1, runtimes()["docker"]), "never appears")
    return [search.advance(10.0) for _ in range(50)]


def history_row(text: str) -> object:
    document: Any = SimpleNamespace(run="run")
    return StoredRun(1, document, {}, zlib.compress(text.encode())).records


def completed(text: str) -> Completed:
    return Completed((), 0, text.encode(), text.encode())


FC = (
    "/srv/a\t--\tgen_context(u:object_r:a_t,s0)\n",
    "/srv/a u:object_r:a_t:s0\n",
    "/srv/interface(/.*)? <<none>>\n",
    '#line 3 "/x/a.fc"\n',
    "/a`b'",
    "index(",
    "`",
    "x ",
    "\\.",
    "\n",
)
TOOLS = (
    "/w/a.te:2:ERROR 'unknown role a_r' at token ';' on line 9:\n",
    "a.fc:3: Warning: x\n",
    "libsepol.hierarchy_add_type_callback: a doesn't exist, a.b is an orphan\n",
    "Invalid mode in file context line: /a x\n",
    "Failed to resolve allow statement at /w/candidate.cil:1\n",
    "(neverallow a b (c (d)))\n",
    "allow at ",
    "hierarchy_add_",
    "candidate.cil:",
    "make: ",
    "a/",
    " ",
    "\n",
)
_MODULE = PolicyModule("a", Path("/p"), {"te": b"policy_module(a, 1.0)\ntype a_t;\n", "fc": b"/a <<none>>\n"})


class _EmptyBase(BasePolicy):
    """A base policy that has no files."""

    def declared(self, *keywords: str) -> frozenset[str]:
        return frozenset()


_BASE = _EmptyBase(StoreFacts("test", 33, True, False, ""), Path("/nowhere"), frozenset())


def read_manifest(text: str) -> object:
    """Read an exported base policy whose manifest is the text."""
    return portable_file.read(portable_file.sealed(archive({portable_file.MANIFEST: text.encode()})), "file")


def read_contexts(text: str) -> object:
    """Read a .fc as m4 leaves it and as the user wrote it."""
    module = PolicyModule("a", Path("/p"), {"fc": text.encode()})
    own = [(entry.line, spec) for entry in expanded_lines(text, "a.fc") if (spec := entry.spec)]
    written = WrittenEntries(module)
    numbers = [written.line(spec) for _, spec in own]
    return (
        numbers,
        list(macro_words(text, _BASE)),
        [rewritten(spec.pattern, [("/a", "/b")]) for _, spec in own],
    )


def read_tool_output(text: str) -> object:
    """Read what a policy tool printed before it failed."""
    done = Completed(("tool",), 1, b"", text.encode())
    sources = [LinkedSource("a", "(type a_t)\n", _MODULE)]
    return compile_error(_MODULE, done, _BASE), link_error(_BASE, sources, done, expand=False)


PROFILE = "apiVersion: security-profiles-operator.x-k8s.io/v1\nmetadata: {name: a}\nkind: "


def profile_in_cil(text: str) -> object:
    """Read a profile of an operator that contains the text as CIL."""
    raw = "".join(f"    {line}\n" for line in text.splitlines())
    return translated(f"{PROFILE}RawSelinuxProfile\nspec:\n  policy: |\n    ;\n{raw}", Path("a.yaml"))


def profile_of_types(text: str) -> object:
    """Read a profile of an operator with one type for each line of the text."""
    types = "".join(f"    t{number}_t: {line}\n" for number, line in enumerate(text.splitlines()))
    return translated(f"{PROFILE}SelinuxProfile\nspec:\n  allow:\n    etc_t: {{}}\n{types}", Path("a.yaml"))


def kubernetes_command(text: str) -> object:
    """Read the command of a container of Kubernetes, in which the variable A has a value."""
    builder = ContainerBuilder()
    fields = {"env": [{"name": "A", "value": "b"}], "args": [text]}
    add_container(builder, Workload("Pod/web", {}, "", {}, False, {}, {}), fields)
    return builder


class _Labels:
    """A base policy that gives one type to everything."""

    def port_type(self, protocol: str, number: int) -> str:
        return "port_t"

    def types_of(self, path: str) -> tuple[str, ...]:
        return ("a_t",)


def udica_policy(text: str) -> str:
    """Read a UdicaPolicy of about the text's length, with mounts and a path with the text in it."""
    mounts = "  - path: /srv/b\n" * min(len(text) // 16, MOST - 1)
    path = "".join(char for char in text if char.isalnum())[:4000]
    head = f"kind: UdicaPolicy\ndevices: [/dev/a{path}]\n"
    return translated_of_udica(f"{head}mounts:\n  - path: /srv/a\n{mounts}", Path("a.yaml"), _Labels())


def explicit_rules(text: str) -> list[str]:
    """Write each line with the names of its permissions."""
    permissions = Permissions([text])
    return [permissions.explicit(line) for line in text.splitlines()]


def lint_text(text: str) -> object:
    """Check the text as a policy in CIL, and as the plain CIL that it compiles to."""
    module = PolicyModule("a", Path("/p"), {"cil": text.encode()})
    return [lint_cil(CilUnderLint(module, _BASE, Vocabulary({}, {}), plain=plain)) for plain in (None, text)]


def offered_by(text: str) -> object:
    """Read what the macros and blocks of the text offer to a candidate."""
    web = PolicyModule("web", Path("/p"), {"cil": b"(block web (type process))"})
    index = PolicyIndex(Declarations(classes={"file": frozenset({"read"})}))
    return offers(web, [PolicyModule("a", Path("/p"), {"cil": text.encode()})], index)


SERVICE = (
    "LoadState=loaded\nId=web.service\nEntry=/usr/sbin/web\nComplete=yes\n",
    "File=/etc/web/x\n",
    "Listen=[::]:80 (Stream)\n",
    "Listening=tcp *:80\n",
    "ReadWritePaths=/a /b\n",
    "/a",
    ".",
    "9",
    ":",
)
READERS: dict[str, tuple[Callable[[str], object], tuple[str, ...]]] = {
    "line": (lambda text: parse_line(text.encode()), AUDIT),
    "attribution": (lambda text: attribute(lines(text), SCOPE), AUDIT),
    "classification": (lambda text: classify(EXPECT, attribute(lines(text), SCOPE).decisions), AUDIT),
    "summary": (lambda text: summarise(lines(text)), AUDIT),
    "window": (close, AUDIT),
    "journal": (lambda text: raw_from_journal(text.encode()), JOURNAL),
    "levels": (
        lambda text: mcs_separated(Context("u", "r", "t", f"s0:{text}c1"), Context("u", "r", "t", "s0:c2")),
        LEVELS,
    ),
    "te": (lambda text: items(tokens(text)), TE),
    "units": (te_units, TE),
    "declared name": (DECLARED_NAME.search, TE),
    "statements": (lambda text: parse_statements(text, {}), TE),
    "headers": (lambda text: list(headings(text, "a.if")), TE),
    "cil": (cil_statements, CIL),
    "cil of an author": (lambda text: [*walk(parse(text))], CIL),
    "profile in cil": (profile_in_cil, CIL),
    "profile of types": (profile_of_types, ("{dir: [read], file: [read]}\n",)),
    "policy in the terms of udica": (udica_policy, CIL),
    "permissions of cil": (explicit_rules, CIL),
    "checks of cil": (lint_text, CIL),
    "macros and blocks of cil": (offered_by, CIL),
    "parts of cil": (cil_units.units, CIL),
    "tree of secil2tree": (lambda text: [*plain_statements(text.splitlines())], CIL),
    "flat base": (read_flat, CIL),
    "candidate": (lambda text: read_candidates([text], Declarations()), CIL),
    "file contexts": (lambda text: list(filecons(text)), CIL),
    "file contexts of the user": (read_contexts, FC),
    "output of a tool": (read_tool_output, TOOLS),
    "yaml": (lambda text: yamlfile.parse(text, Path("a.yaml"), Scenario), YAML),
    "dockerfile": (lambda text: of_instructions(read_dockerfile(text)[1]), DOCKER),
    "inspected container": (lambda text: parse_container(text.encode(), "file"), JSON),
    "inspected image": (of_inspect, JSON),
    "inspected pod": (lambda text: parse_pod(text.encode(), "file"), JSON),
    "yaml with aliases": (lambda text: yamlfile.parse(text, Path("a"), Scenario, aliases=True), YAML),
    "variables of Compose": (lambda text: (interpolate(text), defaulted(text)), VARIABLES),
    "secrets": (lambda text: (is_secret_name(text), is_secret_value(text), has_secret([text])), VARIABLES),
    "security options": (lambda text: add_label(ContainerBuilder(), [text], text), VARIABLES),
    "manifest of Kubernetes": (from_file(yamlfile.load_documents), (*YAML, "---\n")),
    "times of a health check": (lambda text: add_health(ContainerBuilder(), {"interval": text}), VARIABLES),
    "variables of Kubernetes": (kubernetes_command, ("$(A)", "$(", "$$", "(", ")", "A")),
    "selab.yaml": (lambda text: yamlfile.parse(text, Path("a.yaml"), ProjectConfig), YAML),
    "matrix.yaml": (lambda text: yamlfile.parse(text, Path("a.yaml"), Matrix), YAML),
    "flattening": (flatten, CIL),
    "optional blocks": (lambda text: dangling_names([text]), CIL),
    "file_contexts": (lambda text: list(read_specs(text.splitlines())), FC),
    "pattern of file contexts": (compiled_pattern, FC),
    "lxc_contexts": (from_file(lambda path: runtime_type(path.parent, "file"), "lxc_contexts"), SETTINGS),
    "build.conf": (from_file(lambda path: build_options(path.parents[1]), "include/build.conf"), SETTINGS),
    "machine-readable output": (vagrant("_parse_machine_readable_output"), VAGRANT),
    "vagrant ssh-config": (vagrant("_parse_config"), SSH),
    "ssh_config": (from_file(lambda path: _with_includes(path, path.parent, "Host *", 1)), SSH),
    "known_hosts": (from_file(_plain_lines), SSH),
    "container log": (log, AUDIT),
    "log step": (step({"log": {"pattern": "a+b", "timeout": 0.001}}), AUDIT),
    "exec step": (step({"exec": {"argv": ["x"], "contains": "never"}}), AUDIT),
    "http answer": (step({"http": {"port": 80}}, code=1), ANSWER),
    "exit code": (step({"exit": {}}), ANSWER),
    "answer about a connection": (step({"tcp": {"port": 80}}, code=1), ANSWER),
    "answer about a service": (lambda text: _fields(completed(text), "active", complete=False), ANSWER),
    "description of a service": (lambda text: _description("web.service", completed(text)), SERVICE),
    "history row": (history_row, AUDIT),
    "manifest of a base policy": (read_manifest, MANIFESTS),
    "survey": (lambda text: _facts((), completed(text)), ANSWER),
    "changes of the guest": (lambda text: _changes(completed(text)), ANSWER),
    "answers to several queries": (lambda text: _parts(completed(text), TOKEN.encode(), 5), PARTS),
    "SELint": (
        lambda text: list(_findings(text, SimpleNamespace(path=Path("/a.te")), {"/a.te": "te"})),  # type: ignore[arg-type]
        SELINT,
    ),
    "sources.list": (lambda text: list(_one_line(text)), DOCKER),
    "deb822": (lambda text: list(_deb822(text)), DOCKER),
}
"""What reads the text, and the words, by a name for the text."""
