"""End containers, read their labels before, and wait for their removal, which goes on meanwhile."""

from __future__ import annotations

from collections.abc import Sequence

from selab.container.lifecycle import REMOVE_TIMEOUT, Container, labels_in
from selab.container.workload import Workload
from selab.errors import SelabError
from selab.guest import Completed, Guest, Malformed, Query, number, one_of, reading, script, script_argv


def end(guest: Guest, workload: Workload, containers: Sequence[Container], *, keep: bool = False) -> None:
    """Read the labels of all `containers`, in the order of their start, and which have ended; then end them.

    When this returns, none of their processes is left, but the runtime may still remove them: `await_removal`
    waits for that. A policy may keep the runtime from the processes of a container, which it then removes
    without them; selab kills them, and the container has `outlived` its removal. If containers are to stay
    (`keep`), they are only recorded.

    Raises SelabError if processes are left.
    """
    words = [word for each in reversed(containers) for word in (each.name, str(each.pid))]
    shared = "" if workload.is_single else workload.name
    runtime = workload.runtime
    program = "container/keep" if keep else "container/end"
    argv = script_argv(program, runtime.name, " ".join(runtime.remove), shared, *words)
    done = guest.run(argv, timeout=REMOVE_TIMEOUT)
    done.expect("The containers did not end.", hint="Run `selab doctor`.")
    with reading(done):
        _read_observations(done.text, [*reversed(containers)])


def _read_observations(text: str, containers: Sequence[Container]) -> None:
    answers = text.split("end\n")
    if len(answers) != len(containers) + 1:
        raise Malformed(f"it is not about {len(containers)} containers")
    by_name = {each.name: each for each in containers}
    for line in answers.pop().splitlines():
        word, _, name = line.partition(" ")
        one_of(word, "killed")
        by_name[one_of(name, *by_name)].outlived = True
    for container, answer in zip(containers, answers, strict=True):
        first, _, rest = answer.partition("\n")
        word, _, code = first.partition(" ")
        if one_of(word, "runs", "ended") == "ended" and code:
            container.ended = number(code)
        container.labels |= labels_in(f"{rest}end\n")


def await_removal() -> Query[None]:
    """Wait until the containers that a run has ended are removed. Raises SelabError if they are not."""
    return Query(script("container/await-removal"), _removed, timeout=REMOVE_TIMEOUT)


def await_earlier_removal() -> Query[str]:
    """Wait until the containers of an interrupted run are removed. The next start removes what is left.

    The answer is why that failed, or an empty string.
    """
    return Query(script("container/await-removal"), _problem, timeout=REMOVE_TIMEOUT)


def _removed(done: Completed) -> None:
    if problem := _problem(done):
        raise SelabError(
            "The containers of the run could not be removed.", problem, "The next run tries it again."
        )


def _problem(done: Completed) -> str:
    what = "selab cannot see whether the containers are removed."
    return done.expect(what, hint="Run `selab doctor`.").text.strip()
