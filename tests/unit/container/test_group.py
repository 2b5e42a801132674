"""How the containers of a scenario start, wait for each other and end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from selab.container.group import NotReady
from selab.container.lifecycle import Container, ContainerRefused
from selab.guest import script
from tests.unit.fakes import FakeGuest, script_name
from tests.unit.workloads import scenario, started, workload

RUNS = "runs\nend\n"
DB, WEB = {"image": "x"}, {"image": "x"}


def guest_with(**answers: tuple[int, str]) -> FakeGuest:
    """A guest in which two containers run to the end, apart from `answers` of scripts by name."""
    usual: dict[str, tuple[int, str]] = {
        "make_network": (0, ""),
        "start": (0, "pid 7\nend\n"),
        "await_health": (0, ""),
        "wait_for_end": (0, "0\n"),
        "end": (0, RUNS * 2),
        "keep": (0, RUNS * 2),
        "make_volume": (0, ""),
    }
    guest = FakeGuest()
    guest.answer("docker logs", out="its last words\n")
    for name, (code, out) in (usual | answers).items():
        guest.answer(script(f"container/{name.replace('_', '-')}"), code=code, out=out)
    return guest


def ran(guest: FakeGuest, tmp_path: Path, *, keep: bool = False, **containers: Any) -> dict[str, Container]:
    of = workload(scenario(containers=containers or {"db": DB, "web": WEB}), name="shop")
    with started(guest, of, tmp_path, keep=keep) as running:
        pass
    return running


def scripts(guest: FakeGuest) -> list[str]:
    """The scripts that ran, each with the container's name if it has one."""
    names = []
    for argv in guest.commands:
        if argv[:2] == ("sh", "-c"):
            name = script_name(argv[2])
            of = {"start": 5, "end": 7, "keep": 7, "await-health": 5, "wait-for-end": 5}.get(name)
            named = argv[of::2] if name in ("end", "keep") else argv[of : of + 1] if of else ()
            names.append(" ".join([name, *(each.removeprefix("selab-shop-") for each in named)]))
    return names


def test_they_start_in_order_and_end_together_in_the_reverse_order(tmp_path: Path) -> None:
    guest = guest_with()
    ran(guest, tmp_path)
    assert scripts(guest) == ["make-network", "start db", "start web", "end web db"]
    assert guest.commands[-1][4:7] == ("docker", "rm -f -v", "selab-shop")


def test_a_start_does_not_remove_the_containers_of_the_same_run(tmp_path: Path) -> None:
    guest = guest_with()
    ran(guest, tmp_path)
    others = [argv[9] for argv in guest.commands if argv[2] == script("container/start")]
    assert others == ["", "selab-shop-db"]


def test_a_container_waits_until_another_is_healthy(tmp_path: Path) -> None:
    guest = guest_with()
    ran(guest, tmp_path, db=DB | {"health": {"command": ["ping"]}}, web=WEB | {"after": {"db": "healthy"}})
    assert scripts(guest)[1:4] == ["start db", "await-health db", "start web"]
    (argv,) = (argv for argv in guest.commands if argv[2] == script("container/await-health"))
    assert argv[4:] == ("7", "selab-shop-db", "60", "docker", "ping")


def test_a_container_waits_for_the_end_of_another(tmp_path: Path) -> None:
    guest = guest_with()
    ran(guest, tmp_path, db=DB, web=WEB | {"after": {"db": "exited"}})
    assert scripts(guest)[1:4] == ["start db", "wait-for-end db", "start web"]


def test_an_init_container_ends_before_the_others_start(tmp_path: Path) -> None:
    guest = guest_with()
    ran(guest, tmp_path, web=WEB, db=DB | {"init": True})
    assert scripts(guest)[1:4] == ["start db", "wait-for-end db", "start web"]


@pytest.mark.parametrize(
    ("script_of", "answer", "reason"),
    [
        ("await_health", (1, "was not healthy within 60 seconds: no\n"), "was not healthy within 60 seconds"),
        ("wait_for_end", (0, "3\n"), "ended with 3"),
        ("wait_for_end", (1, "it still runs after 60 seconds\n"), "it still runs after 60 seconds"),
    ],
)
def test_a_container_that_does_not_become_ready_ends_the_run_and_is_named(
    tmp_path: Path, script_of: str, answer: tuple[int, str], reason: str
) -> None:
    guest = guest_with(**{script_of: answer}, end=(0, RUNS))
    condition = "healthy" if script_of == "await_health" else "exited"
    with pytest.raises(NotReady) as caught:
        ran(guest, tmp_path, db=DB, web=WEB | {"after": {"db": condition}})
    assert (caught.value.title, caught.value.log) == ("db", "db: its last words")
    assert reason in caught.value.reason
    assert scripts(guest)[-1] == "end db" and "start web" not in scripts(guest)


def test_a_container_that_does_not_start_is_named_and_all_are_removed(tmp_path: Path) -> None:
    guest = guest_with(start=(126, ""), end=(0, RUNS))
    with pytest.raises(ContainerRefused) as caught:
        ran(guest, tmp_path)
    assert caught.value.title == "db"
    assert scripts(guest)[-1] == "end db"


def test_what_is_kept_keeps_its_network(tmp_path: Path) -> None:
    guest = guest_with()
    ran(guest, tmp_path, keep=True)
    assert scripts(guest)[-1] == "keep web db"
