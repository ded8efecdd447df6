"""What waits is taken together, and what belongs together in its order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.bunches import Bunches

EVERYBODYS = "X"


def of(item: str) -> str | None:
    return None if item == EVERYBODYS else item[0]


async def one_by_one(items: list[str]) -> AsyncIterator[str]:
    for item in items:
        yield item


async def taken(items: list[str], most: int = 100) -> list[list[str]]:
    """All bunches, when nothing is taken before all that has room has come."""
    bunches = Bunches(of, most)
    filling = asyncio.create_task(bunches.fill(one_by_one(items)))
    await asyncio.sleep(0)
    found = []
    while bunch := await bunches.next():
        found.append(bunch)
    await filling
    return found


@pytest.mark.parametrize(
    ("items", "bunches"),
    [
        ([], []),
        (["a1"], [["a1"]]),
        (["a1", "b1", "c1"], [["a1", "b1", "c1"]]),
        (["a1", "b1", "a2", "c1"], [["a1", "b1"], ["a2", "c1"]]),
        (["a1", EVERYBODYS, "b1", "a2"], [["a1"], [EVERYBODYS], ["b1", "a2"]]),
        ([EVERYBODYS, EVERYBODYS], [[EVERYBODYS], [EVERYBODYS]]),
    ],
)
async def test_a_bunch_ends_where_a_key_comes_again_or_something_is_everybodys(
    items: list[str], bunches: list[list[str]]
) -> None:
    assert await taken(items) == bunches


@given(st.lists(st.sampled_from(["a", "b", "c", EVERYBODYS])), st.integers(1, 5))
async def test_nothing_is_lost_doubled_or_out_of_order_however_little_room_there_is(
    letters: list[str], most: int
) -> None:
    items = [letter if letter == EVERYBODYS else f"{letter}{n}" for n, letter in enumerate(letters)]
    bunches = await taken(items, most)
    assert [item for bunch in bunches for item in bunch] == items
    for bunch in bunches:
        keys = [of(item) for item in bunch]
        assert len(set(keys)) == len(keys) <= most
        assert None not in keys or len(keys) == 1


async def test_a_source_waits_while_there_is_no_room() -> None:
    bunches, came = Bunches(of, 2), list[str]()

    async def source() -> AsyncIterator[str]:
        for item in ("a1", "b1", "c1", "d1"):
            came.append(item)
            yield item

    filling = asyncio.create_task(bunches.fill(source()))
    await asyncio.sleep(0)
    assert came == ["a1", "b1", "c1"]
    assert await bunches.next() == ["a1", "b1"]
    await filling
    assert await bunches.next() == ["c1", "d1"]


async def test_who_waits_is_woken_by_the_first_that_comes() -> None:
    bunches: Bunches[str] = Bunches(of)
    waiting = asyncio.create_task(bunches.next())
    await asyncio.sleep(0)
    assert not waiting.done()
    await bunches.fill(one_by_one(["a1"]))
    assert await waiting == ["a1"]
    assert await bunches.next() == []
