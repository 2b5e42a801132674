"""What is made of the answers about the end and the removal of containers."""

from __future__ import annotations

import pytest

from selab.container.lifecycle import Container
from selab.container.removal import await_earlier_removal, await_removal, end
from selab.container.runtime import runtimes
from selab.container.workload import Workload
from selab.errors import CommandFailed, SelabError
from selab.guest import script
from tests.unit.fakes import FakeGuest
from tests.unit.workloads import scenario, workload

RUNS = "runs\nend\n"
DOCKER = runtimes()["docker"]


@pytest.fixture
def shop() -> Workload:
    """A workload of two containers."""
    return workload(scenario(containers={"db": {"image": "x"}, "web": {"image": "x"}}), name="shop")


def ended(shop: Workload, answer: str, code: int = 0) -> list[Container]:
    guest = FakeGuest()
    guest.answer(script("container/end"), out=answer, code=code)
    containers = [Container(each.name, 7, DOCKER, title=each.title) for each in shop.containers]
    end(guest, shop, containers)
    assert guest.commands[0][7:] == ("selab-shop-web", "7", "selab-shop-db", "7")
    return containers


def test_a_container_that_has_ended_is_noticed_with_its_exit_code(shop: Workload) -> None:
    db, web = ended(shop, f"ended 3\nlabel u:r:web_t:s0\nend\n{RUNS}")
    assert (db.ended, web.ended) == (None, 3)
    assert (db.labels, web.labels) == (set(), {"u:r:web_t:s0"})


def test_a_container_whose_processes_outlived_its_removal_is_named(shop: Workload) -> None:
    db, web = ended(shop, f"{RUNS * 2}killed selab-shop-db\n")
    assert (db.outlived, web.outlived) == (True, False)


def test_an_exit_code_that_nothing_depends_on_is_not_there(shop: Workload) -> None:
    assert [each.ended for each in ended(shop, "ended\nend\n" * 2)] == [None, None]


@pytest.mark.parametrize(
    "answer",
    [
        "",
        RUNS,
        RUNS * 3,
        RUNS * 2 + "x",
        RUNS * 2 + "killed other\n",
        RUNS * 2 + "left selab-shop-db\n",
        RUNS.replace("runs", "walks") + RUNS,
        RUNS.replace("runs", "ended x") + RUNS,
    ],
)
def test_an_observation_that_makes_no_sense_is_an_error(shop: Workload, answer: str) -> None:
    with pytest.raises(SelabError, match="makes no sense"):
        ended(shop, answer)


def test_processes_that_are_left_are_an_error(shop: Workload) -> None:
    with pytest.raises(CommandFailed, match="did not end"):
        ended(shop, RUNS * 2, code=4)


def removal(out: str, code: int = 0) -> FakeGuest:
    guest = FakeGuest()
    guest.answer(script("container/await-removal"), out=out, code=code)
    return guest


def test_a_removal_that_failed_is_an_error_of_its_run() -> None:
    with pytest.raises(SelabError, match="could not be removed") as caught:
        await_removal().of(removal("device busy\n"))
    assert caught.value.detail == "device busy"


def test_a_removal_that_succeeded_is_none() -> None:
    await_removal().of(removal(""))


@pytest.mark.parametrize("out", ["device busy\n", ""])
def test_a_removal_that_failed_is_no_error_of_the_next_run(out: str) -> None:
    assert await_earlier_removal().of(removal(out)) == out.strip()


def test_a_removal_that_cannot_be_waited_for_is_an_error() -> None:
    with pytest.raises(CommandFailed, match="cannot see"):
        await_earlier_removal().of(removal("", code=1))
