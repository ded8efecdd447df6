"""Waiting for a guest: what is heard, what is seen, and what is neither."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import pytest

from agent import deadline
from agent.errors import NotFound, TimedOut, Unavailable
from agent.hypervisor.libvirt.lifecycle import Power
from agent.hypervisor.libvirt.news import News, Word
from agent.hypervisor.libvirt.waits import Waits
from agent.spec import PowerState

LONG, SHORT = 20.0, 0.05
UUID_ = uuid4()
OFF = frozenset({PowerState.SHUTDOWN})
RUNNING = Power(PowerState.RUNNING, "booted")
STOPPED = Power(PowerState.SHUTDOWN, "shutdown")


class Guest:
    """What a look at the guest shows; `looked` is set by each look."""

    def __init__(self) -> None:
        self.power: Power | Exception = RUNNING
        self.looked = asyncio.Event()

    async def read(self, uuid: UUID) -> Power:
        self.looked.set()
        if isinstance(self.power, Exception):
            raise self.power
        return self.power


@pytest.fixture
def news() -> News:
    return News()


@pytest.fixture
async def guest() -> Guest:
    return Guest()


async def test_a_state_that_is_so_already_needs_no_news(guest: Guest, news: News) -> None:
    guest.power = STOPPED
    assert await Waits(guest.read, news).for_state(UUID_, OFF, LONG) is PowerState.SHUTDOWN


async def test_a_state_is_reached_when_it_is_heard(guest: Guest, news: News) -> None:
    waiting = asyncio.create_task(Waits(guest.read, news, look_again_s=LONG).for_state(UUID_, OFF, LONG))
    await guest.looked.wait()
    news.tell(UUID_, Power(PowerState.PAUSED, "user"))
    news.tell(uuid4(), STOPPED)
    news.tell(UUID_, STOPPED)
    assert await waiting is PowerState.SHUTDOWN


async def test_a_state_that_was_heard_counts_even_if_it_has_passed(guest: Guest, news: News) -> None:
    waiting = asyncio.create_task(Waits(guest.read, news, look_again_s=LONG).for_state(UUID_, OFF, LONG))
    await guest.looked.wait()
    news.tell(UUID_, STOPPED)
    news.tell(UUID_, RUNNING)
    assert await waiting is PowerState.SHUTDOWN


async def test_a_state_whose_news_was_lost_is_seen_at_the_next_look(guest: Guest, news: News) -> None:
    waiting = asyncio.create_task(Waits(guest.read, news, look_again_s=SHORT).for_state(UUID_, OFF, LONG))
    await guest.looked.wait()
    guest.power = STOPPED
    assert await waiting is PowerState.SHUTDOWN


@pytest.mark.parametrize("error", [NotFound("gone"), Unavailable("down"), TimedOut("hangs")])
async def test_a_guest_that_cant_be_seen_is_waited_for(guest: Guest, news: News, error: Exception) -> None:
    guest.power = error
    waiting = asyncio.create_task(Waits(guest.read, news, look_again_s=SHORT).for_state(UUID_, OFF, LONG))
    await guest.looked.wait()
    guest.power = STOPPED
    assert await waiting is PowerState.SHUTDOWN


async def test_a_state_that_isnt_reached_in_time_is_none(guest: Guest, news: News) -> None:
    assert await Waits(guest.read, news).for_state(UUID_, OFF, SHORT) is None
    with deadline.within(SHORT):
        assert await Waits(guest.read, news).for_state(UUID_, OFF, LONG) is None


async def rebooting(guest: Guest, news: News, *items: Power | Word) -> bool:
    waiting = asyncio.create_task(Waits(guest.read, news).for_reboot(UUID_, LONG))
    await asyncio.sleep(0)
    for item in items:
        news.tell(UUID_, item)
    return await waiting


async def test_a_reboot_is_heard(guest: Guest, news: News) -> None:
    assert await rebooting(guest, news, Word.REBOOTED)


async def test_a_guest_that_is_paused_meanwhile_may_still_reboot(guest: Guest, news: News) -> None:
    assert await rebooting(guest, news, Power(PowerState.PAUSED, "user"), RUNNING, Word.REBOOTED)


async def test_a_guest_that_stops_instead_wont_reboot(guest: Guest, news: News) -> None:
    assert not await rebooting(guest, news, STOPPED, Word.REBOOTED)


async def test_no_reboot_in_time_is_told(guest: Guest, news: News) -> None:
    assert not await Waits(guest.read, news).for_reboot(UUID_, SHORT)


async def test_what_was_told_before_listening_began_isnt_heard(news: News) -> None:
    news.tell(UUID_, Word.REBOOTED)
    with news.of(UUID_) as heard:
        assert await heard.next(SHORT) is None


async def test_all_who_listen_hear_and_nobody_is_kept_after(news: News) -> None:
    with news.of(UUID_) as first, news.of(UUID_) as second:
        news.tell(UUID_, Word.REBOOTED)
        assert [await first.next(LONG), await second.next(LONG)] == [Word.REBOOTED, Word.REBOOTED]
    assert news.listeners == 0
