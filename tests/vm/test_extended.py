"""The extended rules of a guest's whole policy, compared with those that checkpolicy lists."""

from __future__ import annotations

import random
from pathlib import Path

from selab.host.cache import cache_dir
from selab.policy.base import ensure_base
from selab.policy.compile import CompiledModule, link
from selab.policy.query.decide import libsepol
from selab.policy.query.extended import extended_rules
from selab.policy.survey import survey
from selab.policy.toolchain import choose_toolchain
from selab.progress import Progress
from selab.vm.ssh import SshGuest
from tests.policy_conf import commands_by_checkpolicy

RULES = """
(type web_t) (roletype system_r web_t) (typeattributeset domain (web_t))
(allowx domain file_type (ioctl file ((range 0x5400 0x54ff) 0x1)))
(allowx web_t self (ioctl tcp_socket (0x8927)))
(allowx domain self (ioctl file (0x2)))
(dontauditx domain file_type (ioctl file (0x3)))
(auditallowx web_t domain (ioctl dir (0x4)))
(allowx file_type domain (ioctl dir (and (range 0x0 0xfff) (not (0x7)))))
"""


def test_the_commands_of_every_pair_of_types_are_those_that_checkpolicy_lists(
    session_guest: SshGuest, tmp_path: Path
) -> None:
    tools = choose_toolchain(session_guest, tmp_path / "work")
    base = ensure_base(session_guest, survey().of(session_guest), tools, cache_dir(), Progress())
    path = tmp_path / "policy"
    path.write_bytes(link(base, [CompiledModule("web", RULES, frozenset({"web_t"}))], tools).binary)
    expected = commands_by_checkpolicy(path)
    index = extended_rules(libsepol(), path)
    assert index is not None and len(expected) > len(index.types)
    dice, types = random.Random(7), sorted(index.types)
    pairs = [*dice.sample(sorted(expected), 400)]
    pairs += [(dice.choice(types), dice.choice(types), dice.choice(["file", "dir"])) for _ in range(400)]
    assert {key: index.commands(*key) for key in pairs} == {key: expected.get(key) for key in pairs}
