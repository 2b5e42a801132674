"""Find the types that udica finds for ports and paths, in a base policy in place of the running system's."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from selab.policy.base import HOMES, BasePolicy
from selab.policy.contexts import specs_with
from selab.policy.fc_source import equivalences, looked_up
from selab.policy.filecon import FileSpec
from selab.policy.pattern import MatchTime
from selab.policy.query.ports import Ports, port_type, ports_of

HOME_OF_USERS = {
    "HOME_DIR": "/home/[^/]+",
    "HOME_ROOT": "/home",
    "%{USERID}": "[0-9]+",
    "%{USERNAME}": "[^/]+",
}
"""What genhomedircon writes for users without an entry of their own (libsemanage, src/genhomedircon.c)."""
LOCAL = "file_contexts.local"
NO_CONTEXT = "<<none>>"


@dataclass(frozen=True)
class BaseLabels:
    """The ports and file contexts of a base policy.

    base: base policy.
    """

    base: BasePolicy

    def port_type(self, protocol: str, number: int) -> str:
        """Return the type of a port as the kernel finds it; udica prefers a local modification."""
        return port_type(_ports(self.base), protocol, number)

    def types_of(self, path: str) -> tuple[str, ...]:
        """Return the types of all file contexts whose text begins with `path`, and the type of `path` itself.

        udica compares the text (list_contexts), so /var/lib/web also finds the types of /var/lib/webdav. It
        looks up the path itself as libselinux does, with the equivalences. The result is empty if that has no
        context. Raises UnreadablePattern if selab cannot evaluate a pattern.
        """
        specs, limit = _specs(self.base), MatchTime()
        place = looked_up(path, equivalences(self.base))
        matching = next((spec for spec in reversed(specs) if spec.matches(place, limit)), None)
        if matching is None or not matching.type:
            return ()
        near = (spec.type for spec in specs if spec.pattern.startswith(path))
        return tuple(sorted({matching.type, *filter(None, near)}))


@functools.lru_cache(maxsize=2)
def _ports(base: BasePolicy) -> Ports:
    return ports_of(base)


@functools.lru_cache(maxsize=2)
def _specs(base: BasePolicy) -> tuple[FileSpec, ...]:
    """Return the file contexts in libselinux's order: the last one that matches a path counts."""
    local = {(spec.pattern, spec.kind) for spec in base.file_contexts(LOCAL)}
    specs = specs_with(base)
    homes = sorted((_of_users(spec) for spec in base.file_contexts(HOMES)), key=lambda spec: spec.rank)
    return (
        *(spec for spec in specs if (spec.pattern, spec.kind) not in local),
        *homes,
        *(spec for spec in specs if (spec.pattern, spec.kind) in local),
    )


def _of_users(spec: FileSpec) -> FileSpec:
    pattern = spec.pattern
    for word, path in HOME_OF_USERS.items():
        pattern = pattern.replace(word, path)
    return FileSpec(pattern, spec.kind, spec.context)
