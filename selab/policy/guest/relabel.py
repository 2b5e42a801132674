"""Label the guest's files by the candidates' file contexts for a run, and restore their labels after it."""

from __future__ import annotations

import functools
import importlib.resources

from selab import guest_state
from selab.errors import SelabError
from selab.guest import Completed, Guest, Malformed, Query, reading, script, script_argv
from selab.policy.contexts import FileContexts

CONTEXTS = "/var/lib/selab/contexts"
LABELS = "/var/lib/selab/labels.json"
"""In the guest: the file with the original labels. It exists from before the first label is changed until the
last one is restored, also across a reboot."""
MAX_FILES = 20_000
"""Most files that the file contexts may name: more are not a workload's data, but half of the system."""
RELABEL_TIMEOUT = 300.0


def restore_labels() -> Query[None]:
    """Restore every label that `label_files` has changed, in this run or an interrupted one."""
    words = (LABELS, _program("restore_labels"))
    return Query(script("policy/guest/restore-labels"), _restored, words, timeout=RELABEL_TIMEOUT)


@functools.cache
def _program(name: str) -> str:
    """Return the text of one of this package's Python programs for the guest."""
    return importlib.resources.files("selab.policy.guest").joinpath(f"{name}.py").read_text(encoding="utf-8")


def _restored(done: Completed) -> None:
    done.expect(
        "The labels of the guest's files could not be restored.",
        hint=f"They are recorded in {LABELS}; the next run tries again.",
    )


def label_files(guest: Guest, contexts: FileContexts) -> bool:
    """Label the guest's files that the candidates' file contexts name. Return whether any was labelled.

    `restore_labels` undoes it.
    """
    if not contexts.places:
        return False
    words = (contexts_file(contexts), LABELS, str(MAX_FILES), _program("save_labels"), *contexts.places)
    argv = script_argv("policy/guest/label-files", *words)
    done = _with_contexts(guest, contexts, argv)
    with reading(done):
        if done.stdout and not done.text.endswith("\nlabelled\n"):
            raise Malformed("it does not end with 'labelled'")
    return bool(done.stdout)


def label_tree(guest: Guest, contexts: FileContexts, root: str, path: str) -> None:
    """Label the guest's directory `root` + `path` as if it were at `path`."""
    _with_contexts(
        guest, contexts, script_argv("policy/guest/label-tree", contexts_file(contexts), root, path)
    )


def contexts_file(contexts: FileContexts) -> str:
    """Return the path of the contexts in the guest, which has them after `label_files` has found a file."""
    return f"{CONTEXTS}/{contexts.digest}"


def _with_contexts(guest: Guest, contexts: FileContexts, argv: list[str]) -> Completed:
    """Run `argv`, a script that needs the contexts in the guest. If it reports that they are missing, put
    them there and run it again."""
    done = guest.run(argv, timeout=RELABEL_TIMEOUT)
    if done.returncode == guest_state.NO_FILE_CONTEXTS.code:
        guest.put(contexts.data, contexts_file(contexts))
        done = guest.run(argv, timeout=RELABEL_TIMEOUT)
    if not done.ok:
        raise SelabError(
            "The candidate's file contexts could not be applied in the guest.",
            done.error_text.strip().rsplit("\n", 1)[-1],
            "Narrow the patterns of its .fc file.",
        )
    return done
