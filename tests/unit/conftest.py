"""Fixtures that many unit tests share."""

from __future__ import annotations

import functools
import gc
import itertools
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from selab.host.files import write_json
from selab.host.local import LocalHost
from selab.policy.base import METADATA, BasePolicy
from selab.policy.compile import CompiledModule
from selab.policy.integrity import digests
from selab.policy.survey import StoreFacts
from selab.policy.toolchain import Toolchain
from selab.project import Project, find_project

settings.register_profile("quick", settings.get_profile("ci"), max_examples=20)
"""Fewer random examples, for `make unit FAST=1`.

Both profiles try the same ones each time, and have no deadline: a loaded machine is not a slow parser.
"""


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[object]:
    """Collect the tests without garbage collections, which visit each time what was collected before."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests with Dask first, in their random order, so that one process of pytest-xdist runs them.

    Each process that runs one imports Dask, and starts another process that imports it and forks workers.
    """
    items.sort(key=lambda item: item.get_closest_marker("dask") is None)


def pytest_collection_finish() -> None:
    """Exempt the collected tests from garbage collection, which otherwise visits all of them each time.

    Hypothesis looks for references to objects when it is imported, and does not find those of exempt objects.
    """
    if "hypothesis" in sys.modules:
        gc.collect()
        gc.freeze()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Let a process of pytest-xdist report a passed test once, instead of four times.

    It reports the start, the setup, the call and the teardown, which takes as long as a short test. The other
    process shows only the call, unless something failed. A file for JUnit and `--durations` need all reports.
    """
    if any(session.config.getoption(name, None) for name in ("xmlpath", "durations")):
        return
    for plugin in session.config.pluginmanager.get_plugins():
        if hasattr(plugin, "sendevent"):
            plugin.sendevent = functools.partial(_send_if_shown, plugin.sendevent)


def _send_if_shown(send: Callable[..., None], name: str, **event: Any) -> None:
    report = event.get("data", {}) if name == "testreport" else {}
    if name != "logstart" and (report.get("outcome") != "passed" or report["when"] == "call"):
        send(name, **event)


CHECKOUT = Path(__file__).parents[2]
LOGGERS = ("selab", "paramiko")
COMPILERS = {"make", "m4", "checkmodule", "secilc", "secil2tree", "selint", "audit2why"}


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Iterator[None]:
    """Escape surrogates in a report, so that a process of pytest-xdist can send it as UTF-8.

    Hostile input contains surrogates, and pytest puts what a test logs and prints into its report.
    """
    report = yield
    return _encodable(report) if report and (report["longrepr"] or report["sections"]) else report


def _encodable(part: Any) -> Any:
    if isinstance(part, str):
        return part.encode(errors="backslashreplace").decode()
    if isinstance(part, dict):
        return {_encodable(key): _encodable(value) for key, value in part.items()}
    return type(part)(map(_encodable, part)) if isinstance(part, (list, tuple)) else part


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """After a failure, name the seed of the random order, which repeats it."""
    failed = any(terminalreporter.stats.get(kind) for kind in ("failed", "error"))
    seed = config.getoption("randomly_seed", None)
    if failed and isinstance(seed, int):
        terminalreporter.write_line(
            f"Repeat this order of the tests: pytest -p randomly --randomly-seed={seed}"
        )


# What is done for each test is in hooks, because a fixture takes several times as long as a hook.


@dataclass(frozen=True)
class Before:
    """What there was before a test: the handlers of each logger, and the files in the checkout's .selab."""

    handlers: dict[str, list[logging.Handler]]
    state: dict[str, tuple[int, int]]


_BEFORE = pytest.StashKey[Before]()
_start_program = subprocess.Popen.__init__
_users = itertools.count()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Give the test new directories for the key of the state and what the user allowed, and no compiler.

    Only a test with the mark `toolchain` may run a policy compiler (see `script/test --unit`).
    """
    directory = _directory_of_users(item.config)
    for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        os.environ[name] = f"{directory}/{next(_users)}"
    if not item.get_closest_marker("toolchain"):
        subprocess.Popen.__init__ = _start_no_compiler
    item.stash[_BEFORE] = Before(
        {name: list(logging.getLogger(name).handlers) for name in LOGGERS}, _state_of_checkout()
    )


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """Remove the log handlers that the test added, and fail if it wrote into the checkout's .selab."""
    try:
        return (yield)
    finally:
        subprocess.Popen.__init__ = _start_program
        before = item.stash[_BEFORE]
        for name in LOGGERS:
            for handler in set(logging.getLogger(name).handlers) - set(before.handlers[name]):
                logging.getLogger(name).removeHandler(handler)
                handler.close()
        assert _state_of_checkout() == before.state


@functools.cache
def _directory_of_users(config: pytest.Config) -> Path:
    return config._tmp_path_factory.mktemp("users")


def _start_no_compiler(process: subprocess.Popen[Any], args: Any, *rest: Any, **options: Any) -> None:
    argv = [args] if isinstance(args, (str, bytes, Path)) else list(args)
    program = Path(os.fsdecode(argv[0])).name
    # By `--help` selab learns what the compiler can do, whether or not a test compiles anything.
    if "--help" not in argv:
        assert program not in COMPILERS, f"this test runs {program}: mark it with pytest.mark.toolchain"
    _start_program(process, args, *rest, **options)


def _state_of_checkout() -> dict[str, tuple[int, int]]:
    """The size and the time of change of each file in the checkout's .selab."""
    try:
        entries = list(os.scandir(CHECKOUT / ".selab"))
    except FileNotFoundError:
        return {}
    stats = {entry.name: entry.stat() for entry in entries}
    return {name: (stat.st_size, stat.st_mtime_ns) for name, stat in stats.items()}


@pytest.fixture(autouse=True, scope="session")
def checkout_stays_as_it_was() -> Iterator[None]:
    """Fail the run if its tests add, change or remove a file of the checkout."""
    before = _checkout()
    yield
    changed = {path for path, _ in before ^ _checkout()}
    assert not changed, f"changed while the tests ran: {sorted(changed)}"


def _checkout() -> set[tuple[str, tuple[int, int]]]:
    """Return each file of the checkout with its size and time of change, without caches and mutants."""
    files = set()
    for directory, names, paths in os.walk(CHECKOUT):
        names[:] = [
            name
            for name in names
            if name in (".selab", ".ci") or not name.startswith((".", "__pycache__", "mutants"))
        ]
        for path in (Path(directory, name) for name in paths):
            stat = path.lstat()
            files.add((str(path.relative_to(CHECKOUT)), (stat.st_size, stat.st_mtime_ns)))
    return files


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGINT raises KeyboardInterrupt, even if pytest was started in the background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty project with its directories."""
    (tmp_path / "selab.yaml").write_text("")
    for name in ("policies", "scenarios", "images"):
        (tmp_path / name).mkdir()
    return find_project(tmp_path)


BASE = """
(mls true)
(sid kernel) (sidorder (kernel)) (sidcontext kernel (u r kernel_t ((s0) (s0))))
(sensitivity s0) (sensitivityorder (s0))
(category c0) (category c1) (category c2) (category c3) (categoryorder (c0 c1 c2 c3))
(sensitivitycategory s0 (range c0 c3))
(class file (read write open ioctl)) (class process (transition)) (classorder (file process))
(user u) (role r) (userrole u r) (userlevel u (s0)) (userrange u ((s0) (s0 (range c0 c3))))
(typeattribute domain) (typeattribute cil_gen_require)
(type kernel_t) (type etc_t) (type shared_t) (type base_t) (typeattributeset domain (kernel_t base_t))
(roletype r kernel_t) (roletype r etc_t) (roletype r shared_t) (roletype r base_t)
(boolean shiny false)
(allow domain shared_t (file (read)))
(mlsconstrain (file (read write)) (dom h1 h2))
(constrain (process (transition)) (eq t1 t2))
(booleanif (shiny) (true (allow base_t etc_t (file (write)))))
"""


def seal(directory: Path) -> None:
    """Record the digests of a base policy's files, as selab does when it puts them into its cache."""
    write_json(directory / METADATA, {"dangling": [], "left_out": [], "digests": digests(directory)})


@pytest.fixture
def base(tmp_path: Path) -> BasePolicy:
    """Types kernel_t, etc_t, shared_t, base_t; every domain may read shared_t; MCS binds file reads."""
    return write_base(tmp_path / "base")


def write_base(directory: Path) -> BasePolicy:
    """Write the base policy of BASE into a new directory."""
    (directory / "cil").mkdir(parents=True)
    (directory / "devel").mkdir()
    (directory / "cil" / "base.cil").write_text(BASE)
    (directory / "flat.cil").write_text(BASE)
    seal(directory)
    return BasePolicy(StoreFacts("test", 33, True, False, "f" * 64), directory, frozenset({"dangling_t"}))


@pytest.fixture
def tools(tmp_path: Path) -> Toolchain:
    return Toolchain(LocalHost(), str(tmp_path / "work"))


def module(name: str, cil: str) -> CompiledModule:
    """A candidate with one domain NAME_t and the CIL statements `cil`."""
    text = f"(type {name}_t) (roletype r {name}_t) (typeattributeset domain ({name}_t))\n{cil}\n"
    return CompiledModule(name, text, frozenset({f"{name}_t"}))
