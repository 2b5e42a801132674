"""Files of the guest under the candidates' file contexts for the time of a run, and back to exactly what they were."""

from __future__ import annotations

import functools
import importlib.resources

from selab import guest_state
from selab.errors import SelabError
from selab.guest import Completed, Guest, Query, script, script_argv
from selab.policy.contexts import FileContexts

CONTEXTS = "/var/lib/selab/contexts"
LABELS = "/var/lib/selab/labels.json"
"""In the guest: the labels from before, from just before the first is changed until the last is put back, also across a reboot."""
MAX_FILES = 20_000
"""Files below the candidates' places: more than that is no workload's data but half of the system."""
RELABEL_TIMEOUT = 300.0


def restore_labels() -> Query[None]:
    """Put back every label that `label_files` has changed, now or in a run that was cut off. Does nothing where there is none."""
    words = (LABELS, _program("restore_labels"))
    return Query(script("policy/guest/restore-labels"), _restored, words, timeout=RELABEL_TIMEOUT)


@functools.cache
def _program(name: str) -> str:
    """The text of one of this package's Python programs for the guest."""
    return importlib.resources.files("selab.policy.guest").joinpath(f"{name}.py").read_text(encoding="utf-8")


def _restored(done: Completed) -> None:
    done.expect(
        "The labels of the guest's files could not be put back.",
        hint=f"They are in {LABELS}; the next run tries again.",
    )


def label_files(guest: Guest, contexts: FileContexts) -> bool:
    """Label what the candidates' file contexts name in the guest, if it is there; whether anything was. `restore_labels` undoes it."""
    if not contexts.places:
        return False
    words = (_file(contexts), LABELS, str(MAX_FILES), _program("save_labels"), *contexts.places)
    argv = script_argv("policy/guest/label-files", *words)
    return _with_contexts(guest, contexts, argv).text.endswith("\nlabelled\n")


def label_tree(guest: Guest, contexts: FileContexts, root: str, path: str) -> None:
    """Label the directory `root` + `path` of the guest as if it lay at `path`."""
    _with_contexts(guest, contexts, script_argv("policy/guest/label-tree", _file(contexts), root, path))


def _file(contexts: FileContexts) -> str:
    return f"{CONTEXTS}/{contexts.digest}"


def _with_contexts(guest: Guest, contexts: FileContexts, argv: list[str]) -> Completed:
    """Run `argv`, a script that needs the contexts in the guest. If it reports that they are not there, put
    them there and run it again."""
    done = guest.run(argv, timeout=RELABEL_TIMEOUT)
    if done.returncode == guest_state.NO_FILE_CONTEXTS.code:
        guest.put(contexts.text.encode("utf-8", "surrogateescape"), _file(contexts))
        done = guest.run(argv, timeout=RELABEL_TIMEOUT)
    if not done.ok:
        raise SelabError(
            "The candidate's file contexts could not be applied in the guest.",
            done.error_text.strip().rsplit("\n", 1)[-1],
            "Narrow the patterns of its .fc file.",
        )
    return done
