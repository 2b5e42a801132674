"""Files of the guest under the candidates' file contexts for the time of a run, and back to exactly what they were."""

from __future__ import annotations

import functools
import importlib.resources

from selab.errors import SelabError
from selab.guest import Completed, Guest, Query
from selab.policy.contexts import FileContexts

CONTEXTS = "/var/lib/selab/contexts"
LABELS = "/var/lib/selab/labels.json"
"""In the guest: the labels from before, from just before the first is changed until the last is put back, also across a reboot."""
MAX_FILES = 20_000
"""Files below the candidates' places: more than that is no workload's data but half of the system."""
RELABEL_TIMEOUT = 300.0

# setfiles tells what it changes in sentences that differ from version to version, so the labels are read before and compared afterwards.
_SAVE = r"""
import json, os, sys
state, limit, places = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
labels = {}
def note(path):
    try:
        labels[path] = os.getxattr(path, "security.selinux", follow_symlinks=False).decode()
    except OSError:
        pass
    if len(labels) > limit:
        sys.exit("more than %d files" % limit)
for place in places:
    note(place)
    for directory, names, files in os.walk(place):
        for name in names + files:
            note(os.path.join(directory, name))
with open(state + ".half", "w", errors="surrogateescape") as out:
    json.dump(labels, out)
    out.flush(); os.fsync(out.fileno())
os.replace(state + ".half", state)
"""
_APPLY = r"""
contexts=$1 state=$2 limit=$3 save=$4; shift 4
there=0
for place; do shift; [ -e "$place" ] && { set -- "$@" "$place"; there=1; }; done
[ $there = 1 ] || exit 0
[ -e "$contexts" ] || exit 9
python3 -c "$save" "$state" "$limit" "$@" || exit 4
setfiles -F "$contexts" "$@" && echo && echo labelled
"""
_LABEL_TREE = r"""
[ -e "$1" ] || exit 9
setfiles -F -r "$2" "$1" "$2$3"
"""
_UNDO = r"""
[ -e "$1" ] || exit 0
python3 -c "$2" "$1"
"""


def restore_labels() -> Query[None]:
    """Put back every label that `label_files` has changed, now or in a run that was cut off. Does nothing where there is none."""
    return Query(_UNDO, _restored, (LABELS, _restore()), timeout=RELABEL_TIMEOUT)


@functools.cache
def _restore() -> str:
    return importlib.resources.files("selab.policy.guest").joinpath("restore_labels.py").read_text()


def _restored(done: Completed) -> None:
    done.expect(
        "The labels of the guest's files could not be put back.",
        hint=f"They are in {LABELS}; the next run tries again.",
    )


def label_files(guest: Guest, contexts: FileContexts) -> bool:
    """Label what the candidates' file contexts name in the guest, if it is there; whether anything was. `restore_labels` undoes it."""
    if not contexts.places:
        return False
    words = (_file(contexts), LABELS, str(MAX_FILES), _SAVE, *contexts.places)
    return _with_contexts(
        guest, contexts, Query(_APPLY, lambda done: done, words, timeout=RELABEL_TIMEOUT)
    ).text.endswith("\nlabelled\n")


def label_tree(guest: Guest, contexts: FileContexts, root: str, path: str) -> None:
    """Label the directory `root` + `path` of the guest as if it lay at `path`."""
    ask = Query(_LABEL_TREE, lambda done: done, (_file(contexts), root, path), timeout=RELABEL_TIMEOUT)
    _with_contexts(guest, contexts, ask)


def _file(contexts: FileContexts) -> str:
    return f"{CONTEXTS}/{contexts.digest}"


def _with_contexts(guest: Guest, contexts: FileContexts, ask: Query[Completed]) -> Completed:
    """The answer, after the contexts have been put into the guest where it said (9) that it does not have them."""
    done = ask.of(guest)
    if done.returncode == 9:
        guest.put(contexts.text.encode("utf-8", "surrogateescape"), _file(contexts))
        done = ask.of(guest)
    if not done.ok:
        raise SelabError(
            "The candidate's file contexts could not be applied in the guest.",
            done.error_text.strip().rsplit("\n", 1)[-1],
            "Narrow the patterns of its .fc file.",
        )
    return done
