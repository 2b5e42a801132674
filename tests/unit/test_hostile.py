"""Each field is refused before selab contacts the guest, or becomes one word of a command."""

from __future__ import annotations

import functools
import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from selab.errors import InputError, SelabError
from selab.progress import Progress
from selab.project import Project, ProjectConfig, find_project
from selab.run import context, experiment
from selab.run.experiment import run_on
from selab.run.request import Request, make_plan
from selab.scenario.fields import downward
from selab.scenario.model import Scenario
from selab.vm.ssh import command_line
from tests.unit.fakes import ReadyMachine, ScriptedGuest, keep_base

ATTACKS = [
    "; touch made", "$(touch made)", "`touch made`", "a b", "a\tb", "'", '"', "\\", "a\nb", "a\r\nb", "\0",
    "a\0b", "\x1b[2J", "\x9b2J", "*", "?", "[a-z]", "{a,b}", "~", "~root", "!!", "#x", "%s%n", "&", "|", "<",
    ">", "(", ")", "a=b", "$HOME", "${IFS}", "--privileged", "-v", "--", "-", "-v/:/host",
    "--security-opt=label=disable", "..", "../..", "/etc", "a/../../..", "x:ro", "x,y", ":", "ü", "日本語",
    "\ud800", "\u202e", "\u2028", "", " ", "none", "keep", "0", "1e9", "s0:c1,c2 --privileged",
    "label=disable", "x\n--privileged",
]  # fmt: skip
HOSTILE = st.one_of(
    st.sampled_from(ATTACKS),
    st.text(max_size=12),
    st.tuples(st.sampled_from(ATTACKS), st.text(max_size=4)).map("".join),
)
FINE = "mark"
MAIN = "result success\ncode 0\nstatus 0\n"
STARTED = f"invocation {'b' * 32}\n{MAIN}pid 77\nlabel u:r:web_t:s0\nend\n"
STOPPED = f"active active\nrestarts 0\n{MAIN}end\n"


@dataclass(frozen=True)
class Field:
    """A field of a scenario: `of` returns the scenario's part with a value in it, `fine` a valid value."""

    of: Callable[[str], dict[str, Any]]
    fine: str = FINE
    becomes: Callable[[str], str] = str


def step(kind: str, **more: Any) -> dict[str, Any]:
    return {"steps": [{kind: more}]}


def denial(**more: Any) -> dict[str, Any]:
    return {"expect": {"denials": [{"reason": "because", **more}]}}


WAITING = {
    "web": {
        "image": "registry.test/x:1",
        "label": {"type": "web_t", "level": "s0:c3,c4"},
        "after": {"db": "healthy"},
    }
}


def several(**db: Any) -> dict[str, Any]:
    """A scenario with two containers, of which the first has the fields `db`."""
    given = db.pop("scenario", {})
    containers = {
        name: {"image": "registry.test/x:1", "label": {"type": "web_t", "level": level}}
        for name, level in (("db", "s0:c1,c2"), ("web", "s0:c3,c4"))
    }
    containers["db"] |= db
    return {"containers": containers, **given}


def service(**fields: Any) -> dict[str, Any]:
    return {"service": {"unit": "x", **fields}, "label": {"type": "web_t"}}


FIELDS = {
    "service.packages": Field(lambda text: service(packages=[text])),
    "service.unit": Field(
        lambda text: service(unit=text), becomes=lambda text: text.removesuffix(".service")
    ),
    "service.command": Field(
        lambda text: service(unit=None, command=["/bin/x", text]),
        becomes=lambda text: text.replace("$", "$$"),
    ),
    "service.user": Field(lambda text: service(unit=None, command=["/bin/x"], user=text)),
    "description": Field(lambda text: {"description": text}),
    "policy": Field(lambda text: {"policy": text}, "none"),
    "image": Field(lambda text: {"image": text}, "registry.test/mark:1"),
    "runtime": Field(lambda text: {"runtime": text}, "docker"),
    "label.type": Field(lambda text: {"label": {"type": text, "level": "s0:c1,c2"}}, "web_t"),
    "label.level": Field(lambda text: {"label": {"level": text}}, "s0:c1,c2"),
    "command": Field(lambda text: {"command": ["run", text]}),
    "volumes.target": Field(lambda text: {"volumes": [{"target": text}]}, "/mark", downward),
    "volumes.source": Field(lambda text: {"volumes": [{"target": "/data", "source": text}]}, "data"),
    "volumes.guest_path": Field(lambda text: {"volumes": [{"target": "/data", "guest_path": text}]}, "/mark"),
    "volumes.label": Field(lambda text: {"volumes": [{"target": "/data", "label": text}]}, "mark_t"),
    "cap_add": Field(lambda text: {"cap_add": [text]}),
    "cap_drop": Field(lambda text: {"cap_drop": [text]}),
    "user": Field(lambda text: {"user": text}),
    "environment, value": Field(lambda text: {"environment": {"KEY": text}}),
    "environment, key": Field(lambda text: {"environment": {text: "value"}}),
    "step.name": Field(lambda text: {"steps": [{"name": text, "guest": {"argv": ["true"]}}]}),
    "http.path": Field(lambda text: step("http", port=80, path=text), "/mark"),
    "http.contains": Field(lambda text: step("http", port=80, contains=text)),
    "http.status": Field(lambda text: step("http", port=80, status=text), "any"),
    "copy.source": Field(lambda text: step("copy", source=text, target="/srv/x"), "data"),
    "copy.target": Field(
        lambda text: step("copy", source="data", target=f"{text}/x"),
        "/mark",
        lambda text: downward(f"{text}/x").rpartition("/")[0] or "/",
    ),
    "exec.argv": Field(lambda text: step("exec", argv=[text, "x"])),
    "exec.contains": Field(lambda text: step("exec", argv=["x"], contains=text)),
    "guest.argv": Field(lambda text: step("guest", argv=["x", text])),
    "guest.argv, the program": Field(lambda text: step("guest", argv=[text])),
    # The limit is over after the first search, however fast that is, so that there is no other command.
    "log.pattern": Field(lambda text: step("log", pattern=text, timeout=1e-9)),
    "level": Field(lambda text: {"level": text}, "s0:c1,c2"),
    "network": Field(lambda text: {"network": text}, "none"),
    "pid": Field(lambda text: {"pid": text}, "host"),
    "ipc": Field(lambda text: {"ipc": text}, "host"),
    "step.container": Field(
        lambda text: several(scenario={"steps": [{"container": text, "exec": {"argv": ["true"]}}]}), "db"
    ),
    "health.command": Field(
        lambda text: several(
            health={"command": [text]},
            scenario={"containers": several(health={"command": [text]})["containers"] | WAITING},
        )
    ),
    "volumes.name": Field(
        lambda text: several(
            volumes=[{"target": "/data", "name": text}], scenario={"named_volumes": {text: {}}}
        ),
        "mark",
    ),
    "named_volumes.source": Field(
        lambda text: several(
            volumes=[{"target": "/data", "name": "v"}], scenario={"named_volumes": {"v": {"source": text}}}
        ),
        "data",
    ),
    "named_volumes.guest_path": Field(
        lambda text: several(
            volumes=[{"target": "/data", "name": "v"}],
            scenario={"named_volumes": {"v": {"guest_path": text}}},
        ),
        "/mark",
    ),
    "named_volumes.label": Field(
        lambda text: several(
            volumes=[{"target": "/data", "name": "v"}], scenario={"named_volumes": {"v": {"label": text}}}
        ),
        "mark_t",
    ),
    "denial.source": Field(lambda text: denial(source=text)),
    "denial.target": Field(lambda text: denial(target=text)),
    "denial.class": Field(lambda text: denial(**{"class": text})),
    "denial.permissions": Field(lambda text: denial(permissions=[text])),
    "denial.path": Field(lambda text: denial(path=text)),
    "denial.reason": Field(lambda text: denial(reason=text)),
    "denial.as": Field(lambda text: denial(**{"as": text}), "tolerate"),
    "denials": Field(lambda text: {"expect": {"denials": text}}, "none"),
}
"""Every field that holds text, by a name for it."""
HERE = {"description", "policy", "step.name", "copy.source", "exec.contains", "log.pattern", "denials"} | {
    name for name in FIELDS if name.startswith("denial.")
}
"""Fields that no command needs: they are compared or shown on this machine."""

LABELS = ("keep", "private", "shared", "contexts")
WORDS = {
    "volumes.label": LABELS,
    "named_volumes.label": LABELS,
    "level": ("container", "scenario"),
    "step.container": ("web",),
}
"""Values of a field that mean something else than a name, and lead to other words of a command."""
SAMPLE = {"image", "label.level", "command", "volumes.source", "exec.argv"}
"""Fields that `script/test --unit` tries with hostile values as well."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Project:
    root = tmp_path_factory.mktemp("project")
    (root / "selab.yaml").write_text("")
    for name in ("policies", "scenarios", "images", "data"):
        (root / name).mkdir()
    keep_base(root / "cache")
    return find_project(root)


@pytest.fixture(autouse=True)
def nothing_at_random(lab: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELAB_CACHE", str(lab.root / "cache"))
    monkeypatch.setattr("secrets.token_hex", lambda size: "0" * 2 * size)
    monkeypatch.setattr(context, "random_level", lambda: "s0:c1,c2")
    monkeypatch.setattr("time.sleep", lambda seconds: None)


def commands(lab: Project, field: Field, value: str) -> list[tuple[str, ...]] | None:
    """Return all commands of a run with `value` in `field`, or None if selab refused the value."""
    given = field.of(value)
    image = {} if {"containers", "service"} & given.keys() else {"image": "registry.test/x:1"}
    (lab.scenarios / "web.yaml").write_text(json.dumps({**image, **given}))
    guest = ScriptedGuest()
    if "containers" in given:
        guest.run_several()
    guest.answer("http", out="200\n")
    guest.answer("read-log")
    guest.answer("service/missing-packages")
    guest.answer("service/start", out=STARTED)
    guest.answer("service/stop", out=STOPPED)
    for words in (("timeout",), ("docker", "logs", "--tail"), ("test", "-e")):
        guest.answer_program(*words)
    try:
        plan = make_plan(lab, Request("web"))
    except InputError as error:
        assert error.what
        return None
    try:
        run_on(guest, ReadyMachine(guest), lab, plan, Progress())
    except InputError:
        assert guest.scripts in ([], ["survey"])  # a name is looked up in the guest's base policy
        return None
    return guest.commands


def paths() -> set[str]:
    """The dotted names of all fields in a scenario's JSON schema that may hold text."""
    schema = Scenario.model_json_schema(by_alias=True)

    def walk(node: dict[str, Any], above: str) -> set[str]:
        node = schema["$defs"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node
        names = {above} if node.get("type") == "string" else set()
        for part in (
            *node.get("anyOf", ()),
            *node.get("prefixItems", ()),
            *(node[k] for k in ("items",) if isinstance(node.get(k), dict)),
        ):
            names |= walk(part, above)
        for part in (node.get("additionalProperties"), *node.get("patternProperties", {}).values()):
            if isinstance(part, dict):
                names |= walk(part, above)
        for name, part in node.get("properties", {}).items():
            names |= walk(part, f"{above}.{name}".lstrip("."))
        return names

    return walk(schema, "")


def test_no_field_that_holds_text_is_forgotten() -> None:
    known = {
        "steps.name": "step.name",
        "steps.container": "step.container",
        "expect.denials": "denials",
        "environment": "environment, value",
        **{
            f"steps.{name}": name
            for name in (
                "http.path",
                "http.contains",
                "http.status",
                "copy.source",
                "copy.target",
                "exec.argv",
                "exec.contains",
                "guest.argv",
                "log.pattern",
            )
        },
        "steps.guest.contains": "exec.contains",
        **{
            f"expect.denials.{name}": f"denial.{name}"
            for name in ("source", "target", "class", "permissions", "path", "as", "reason")
        },
    }
    of_container = (path.removeprefix("containers.") for path in paths() - {"containers.after"})
    assert {known.get(path, path) for path in of_container} <= set(FIELDS)


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_with_a_plain_value_leads_to_a_run(lab: Project, name: str) -> None:
    assert commands(lab, FIELDS[name], FIELDS[name].fine) is not None


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in SAMPLE else pytest.mark.hostile) for name in FIELDS]
)
@given(value=HOSTILE)
@example(value="$(touch made)")
@example(value="--privileged")
@example(value="host")
@example(value="none")
@example(value="web")
@example(value="scenario")
@settings(
    max_examples=min(40, settings().max_examples), deadline=None, suppress_health_check=list(HealthCheck)
)
def test_a_field_is_refused_or_is_one_word_and_never_a_scripts_text(
    lab: Project, plain_words: Callable[[str, str], list[str]], name: str, value: str
) -> None:
    field = FIELDS[name]
    sent = commands(lab, field, value)
    if sent is None or value in WORDS.get(name, ()):
        return
    if name in HERE:
        assert {word for argv in sent for word in argv} <= {
            word for plain in (field.fine, "") for word in plain_words(name, plain)
        }
    elif name == "user" and not value:
        assert "--user" not in [word for argv in sent for word in argv]
    else:
        expected = [
            word if _is_script(word) else word.replace(field.fine, field.becomes(value))
            for word in plain_words(name, field.fine)
        ]
        assert [word for argv in sent for word in argv] == expected


@pytest.fixture(scope="module")
def plain_words(lab: Project) -> Callable[[str, str], list[str]]:
    """Return the words of all commands of a run with a harmless value in a field, by field and value."""

    @functools.cache
    def words(name: str, value: str) -> list[str]:
        return [word for argv in commands(lab, FIELDS[name], value) or () for word in argv]

    return words


def _is_script(word: str) -> bool:
    """Whether a word is a shell's: then no part of it may be a field's."""
    return "\n" in word and any(sign in word for sign in ("$1", "$@", "exit"))


@given(st.lists(HOSTILE, max_size=6))
@settings(deadline=None)
def test_a_shell_gives_back_the_words_of_the_quoted_line(words: list[str]) -> None:
    argv = ["printf", r"%s\0", *words]
    try:
        line = command_line(argv, 20, sudo=False)
    except (SelabError, UnicodeEncodeError):
        assert any("\0" in word or any("\ud800" <= char <= "\udfff" for char in word) for word in words)
        return
    output = subprocess.run(["sh", "-c", line], capture_output=True, check=True).stdout
    assert output.split(b"\0")[:-1] == [word.encode("utf-8", "surrogateescape") for word in words or [""]]


CONFIG = {
    "requires": lambda text: {"policies": {"web": {"requires": [text]}}},
    "policies": lambda text: {"policies": {text: {}}},
    "url": lambda text: {"vm": {"source": {"url": text, "sha256": "0" * 64}}},
    "sha256": lambda text: {"vm": {"source": {"url": "https://x.test/b", "sha256": text}}},
    "file": lambda text: {"vm": {"source": {"file": text}}},
    "box": lambda text: {"vm": {"box": text}},
    "provider": lambda text: {"vm": {"provider": text}},
    "address": lambda text: {"vm": {"box": "host", "host": {"address": text}}},
    "user": lambda text: {"vm": {"box": "host", "host": {"address": "x.test", "user": text}}},
}


@pytest.mark.parametrize("name", CONFIG)
@given(value=HOSTILE)
@settings(
    max_examples=min(60, settings().max_examples), deadline=None, suppress_health_check=list(HealthCheck)
)
def test_a_field_of_the_project_is_refused_or_is_no_option_and_one_line(
    tmp_path: Path, name: str, value: str
) -> None:
    (tmp_path / "selab.yaml").write_text(json.dumps(CONFIG[name](value)))
    try:
        config = find_project(tmp_path).config
    except InputError:
        return
    taken = [text for text in _strings(config) if text == value]
    assert all("\n" not in text and "\0" not in text for text in taken)
    if name != "file":
        assert all(text.isprintable() for text in taken)
    if name not in ("file", "box", "provider"):
        assert not any(text.startswith("-") for text in taken)


def _strings(config: ProjectConfig) -> list[str]:
    data = config.model_dump(mode="json")
    policies = [text for name, policy in data["policies"].items() for text in (name, *policy["requires"])]
    host = data["vm"]["host"] or {}
    return [
        *policies,
        *(data["vm"]["source"] or {}).values(),
        *(host.get(name, "") for name in ("address", "user")),
        data["vm"]["box"],
        data["vm"]["provider"],
    ]


def test_a_run_leaves_no_connection_behind(lab: Project) -> None:
    (lab.scenarios / "web.yaml").write_text(json.dumps({"image": "registry.test/x:1"}))
    guest = ScriptedGuest()
    experiment.run(lab, ReadyMachine(guest), Request("web"), Progress())
    assert guest.closed
