"""Compile a candidate with the macros of the base policy's headers, and link it with the base policy."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from selab.errors import SelabError
from selab.guest import Completed, Query, script, script_argv
from selab.policy.base import FORMAT, BasePolicy
from selab.policy.deny import has_deny, without_deny
from selab.policy.macros import header_macros
from selab.policy.module import PolicyModule
from selab.policy.query.index import PolicyIndex
from selab.policy.tool_messages import (
    LinkedSource,
    compile_error,
    link_error,
    refuse_carriage_returns,
    refuse_conflicts,
    refuse_invalid_contexts,
    refuse_macro_words,
    refuse_netlink_messages,
)
from selab.policy.toolchain import GUEST_WORKDIR, M4, PP, Toolchain, knows_deny

HEADERS = "/usr/share/selinux/devel"
"""The directory of the policy headers in a guest."""
COMPILE_TIMEOUT = 300.0
"""Seconds for each step on this machine, or for `make` in a guest.

These take under one natively, and five in an emulated guest; a loop in a macro never ends.
"""
LINK_TIMEOUT = 600.0
"""Seconds for secilc: 2 natively, 40 in an emulated guest, 120 there for a whole store."""
QUALIFIED = "-Q"
"""secilc's option that allows names with dots, as the flat base has them in place of blocks."""
RESOLVED_BY_BASE = ("block", "blockinherit", "call", "in", "macro")
"""CIL statements that need what the flat base does not contain."""

_TYPE = re.compile(r"^[^\S\n]*\((?:type|typealias) ([^()\s]+)\)", re.MULTILINE)


@dataclass(frozen=True)
class CompiledModule:
    """A candidate as CIL, including its file contexts.

    name: name of the module.
    cil: its CIL.
    types: types that it declares.
    source: the user's files, which messages name, or None if they are unknown.
    """

    name: str
    cil: str
    types: frozenset[str]
    source: PolicyModule | None = field(default=None, compare=False)


@dataclass(frozen=True)
class KernelPolicy:
    """A linked policy.

    binary: the kernel policy.
    digest: digest of its inputs.
    slow_because: why the flat base could not be used, or empty.
    """

    binary: bytes
    digest: str
    slow_because: str = ""


def compile_module(
    module: PolicyModule, base: BasePolicy, tools: Toolchain, beside: Sequence[PolicyModule] = ()
) -> CompiledModule:
    """Compile `module`, which may call the interfaces of the modules `beside`.

    Raises InputError with the file and line of the user's own source.
    """
    refuse_carriage_returns(module)
    refuse_macro_words(module, base)
    refuse_netlink_messages(module)
    build = _build_here if tools.on_host else _build_in_guest
    try:
        cil = build(module, base, tools, beside)[0].decode("utf-8")
    except UnicodeDecodeError as error:
        raise SelabError(
            f"The compiled policy '{module.name}' is not UTF-8 text.",
            f"Byte {error.start} of its CIL is not valid.",
            "Remove bytes that are not UTF-8 from its source. Otherwise run `selab doctor`.",
        ) from error
    refuse_netlink_messages(module, cil)
    return CompiledModule(module.name, cil, types_in(cil), module)


def types_in(cil: str) -> frozenset[str]:
    """Return the types and aliases that plain CIL declares."""
    return frozenset(_TYPE.findall(cil))


def package(module: PolicyModule, whole: PolicyModule, base: BasePolicy, tools: Toolchain) -> bytes:
    """Return `module`, one of the modules of `whole`, as `semodule -i` accepts it.

    A .te is built as a policy package (.pp), and CIL is as its author wrote it. Raises InputError as
    `compile_module` does.
    """
    if module.language == "cil":
        return module.texts["cil"]
    beside = [each for each in whole.all if each is not module]
    if tools.on_host:
        return _build_here(module, base, tools, beside)[1]
    return tools.where.get(_build_in_guest(module, base, tools, beside)[1])


def _build_in_guest(
    module: PolicyModule, base: BasePolicy, tools: Toolchain, beside: Sequence[PolicyModule]
) -> tuple[bytes, str]:
    """Run the guest's own Makefile in the guest; return the module's CIL and the path of its package."""
    workdir = f"{tools.workdir}/build/{module.name}"
    _place((module, *beside), workdir, tools)
    words = (workdir, module.name, HEADERS, base.facts.selinux_type, _translator(tools), M4)
    query = Query(script("policy/compile"), lambda done: done, words, timeout=COMPILE_TIMEOUT)
    done = _checked(query.of(tools.where), module, base, is_guest=True)
    return done.stdout, f"{workdir}/{module.name}.pp"


def _build_here(
    module: PolicyModule, base: BasePolicy, tools: Toolchain, beside: Sequence[PolicyModule]
) -> tuple[bytes, bytes]:
    """Build a module on this machine; return its CIL and its package.

    The steps are those of the distributions' Makefile. The guest's Makefile itself never runs here: a process
    in the guest may have written it.
    """
    with tempfile.TemporaryDirectory(prefix="selab-compile-") as workdir:
        return _steps(module, base, tools, beside, Path(workdir))


def _steps(
    module: PolicyModule, base: BasePolicy, tools: Toolchain, beside: Sequence[PolicyModule], workdir: Path
) -> tuple[bytes, bytes]:
    macros, name = header_macros(base), module.name
    for file, data in _sources((module, *beside)).items():
        (workdir / file).write_bytes(data)
    own = sorted(f"{each.name}.if" for each in (module, *beside) if each.texts.get("if"))
    text, compiled, contexts, result = (f"{workdir}/{name}.{end}" for end in ("tmp", "mod", "mod.fc", "pp"))

    def step(argv: list[str]) -> Completed:
        return _checked(tools.where.run(argv, timeout=COMPILE_TIMEOUT), module, base)

    expanded = _checked(macros.expand(workdir, [f"{name}.te"], own, lines=True), module, base)
    Path(text).write_bytes(expanded.stdout)
    step(["checkmodule", *(["-M"] if macros.options.mls else []), "-m", text, "-o", compiled])
    expanded = _checked(macros.expand_contexts(workdir / f"{name}.fc"), module, base)
    refuse_invalid_contexts(module, expanded.text, base)
    Path(contexts).write_bytes(expanded.stdout)
    step(["semodule_package", "-o", result, "-m", compiled, "-f", contexts])
    return step([_translator(tools), result]).stdout, Path(result).read_bytes()


def _checked(done: Completed, module: PolicyModule, base: BasePolicy, *, is_guest: bool = False) -> Completed:
    if not done.ok:
        raise compile_error(module, done, base, is_guest=is_guest)
    return done


def _sources(modules: Sequence[PolicyModule]) -> dict[str, bytes]:
    return {
        f"{each.name}.{ending}": each.texts.get(ending, b"")
        for each in modules
        for ending in ("te", "fc", "if")
    }


def _place(modules: Sequence[PolicyModule], workdir: str, tools: Toolchain) -> None:
    """Put these modules' sources into `workdir` in the guest, and remove all others."""
    files = _sources(modules)
    tools.where.run(script_argv("policy/clear-sources", workdir, *files)).expect(
        "The build directory cannot be cleared.",
        hint=f"Check that {workdir} is writable.",
    )
    for name, data in files.items():
        tools.where.put(data, f"{workdir}/{name}")


def _translator(tools: Toolchain) -> str:
    if tools.on_host:
        return next(path for path in PP if Path(path).exists())
    path = tools.where.run(script_argv("policy/find-translator", *PP)).text.strip()
    if path not in PP:
        raise SelabError(
            "The guest has no program that translates a policy package to CIL.",
            f"Looked for {' and '.join(PP)}.",
            "Run `selab vm up`: it installs what is missing.",
        )
    return path


def link(
    base: BasePolicy,
    candidates: Sequence[CompiledModule],
    tools: Toolchain,
    *,
    permissive: Sequence[str] = (),
    dontaudit: bool = True,
) -> KernelPolicy:
    """Link `candidates` with `base`.

    `permissive` names domains to make permissive; without `dontaudit`, dontaudit rules are left out.
    """
    sources = [LinkedSource(each.name, each.cil, each.source) for each in candidates]
    refuse_conflicts(base, sources)
    why = _needs_store(base, candidates)
    options = _options(base, dontaudit)
    done = _secilc(base, permissive, options, tools, candidates, whole=bool(why))
    if not done.ok and not why:
        why = "linking with the flat base failed"
        done = _secilc(base, permissive, options, tools, candidates, whole=True)
    if not done.ok:
        raise link_error(base, sources, done, expand=tools.on_host)
    digest = policy_digest(base, candidates, permissive=permissive, dontaudit=dontaudit)
    return KernelPolicy(done.stdout if tools.on_host else tools.where.get(_output(tools)), digest, why)


def policy_digest(
    base: BasePolicy,
    candidates: Sequence[CompiledModule],
    *,
    permissive: Sequence[str] = (),
    dontaudit: bool = True,
) -> str:
    """Return the digest of the kernel policy that `link` would produce, without linking."""
    parts = (
        str(FORMAT),
        base.key,
        *_options(base, dontaudit),
        _candidate_cil(candidates, permissive),
    )
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _candidate_cil(
    candidates: Sequence[CompiledModule], permissive: Sequence[str], *, as_written: bool = False
) -> str:
    """Return the candidates' CIL.

    `as_written`: with blocks, which the whole store may have too, and which names with dots cannot stand for.
    """
    extra = "".join(f"(typepermissive {domain})\n" for domain in permissive)
    return "".join(_written(each) if as_written else each.cil for each in candidates) + extra


def _written(candidate: CompiledModule) -> str:
    source = candidate.source
    if source is None or source.language != "cil":
        return candidate.cil
    return source.texts["cil"].decode("utf-8") + "\n"


def _options(base: BasePolicy, dontaudit: bool) -> list[str]:
    options = ["-m", "-M", "1" if base.facts.mls else "0", "-c", str(base.facts.policyvers)]
    options += [] if base.facts.expand_check else ["-N"]
    return options + ([] if dontaudit and base.facts.dontaudit else ["-D"])


def _needs_store(base: BasePolicy, candidates: Sequence[CompiledModule]) -> str:
    for candidate in candidates:
        if declared := candidate.types & base.dangling:
            return f"'{min(declared)}' enables optional blocks of the base policy"
        if match := re.search(rf"^[^\S\n]*\(({'|'.join(RESOLVED_BY_BASE)}) ", candidate.cil, re.MULTILINE):
            return f"it uses CIL's '{match.group(1)}'"
    return ""


def _secilc(
    base: BasePolicy,
    permissive: Sequence[str],
    options: list[str],
    tools: Toolchain,
    candidates: Sequence[CompiledModule],
    whole: bool,
) -> Completed:
    candidate = f"{tools.workdir}/candidate.cil"
    resolves = (
        tools.on_host and not knows_deny() and (base.denies or any(has_deny(each.cil) for each in candidates))
    )
    # A deny rule is about qualified names, which the rules of a block do not have as they were written.
    mine = _candidate_cil(candidates, permissive, as_written=whole and not resolves)
    sources = _base_sources(base, tools, whole)
    if resolves:
        index = PolicyIndex.of(base, candidates)
        texts = without_deny(
            [*(Path(path).read_text() for path in sources), mine], index.members, complete=not whole
        )
        mine = texts.pop()
        sources = [f"{tools.workdir}/without-deny-{number}.cil" for number in range(len(texts))]
        for path, text in zip(sources, texts, strict=True):
            tools.where.put(text.encode(), path)
    tools.where.put(mine.encode(), candidate)
    output = ["-o", _output(tools), "-f", "/dev/null"]
    options = options if whole and not resolves else [*options, QUALIFIED]
    return tools.where.run(["secilc", *options, *output, *sources, candidate], timeout=LINK_TIMEOUT)


def _output(tools: Toolchain) -> str:
    """Return the path that secilc writes to.

    secilc does not check whether a full disk truncated its output.
    """
    return "/dev/stdout" if tools.on_host else f"{tools.workdir}/policy"


def _base_sources(base: BasePolicy, tools: Toolchain, whole: bool) -> list[str]:
    if tools.on_host:
        return [str(path) for path in base.store] if whole else [str(base.flat)]
    kind = "store" if whole else "flat"
    path = f"{GUEST_WORKDIR}/{kind}-{base.facts.fingerprint[:16]}.cil"
    if not tools.where.run(["test", "-s", path]).ok:
        text = b"".join(file.read_bytes() for file in base.store) if whole else base.flat.read_bytes()
        tools.where.put(text, path)
    return [path]
