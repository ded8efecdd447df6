"""Calls to a real libvirtd: that answers, hangs, dies in the midst, and comes back."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import libvirt as library
import pytest

from agent.errors import Internal, NotFound, TimedOut, Unavailable
from agent.hypervisor.libvirt.api import Connection
from agent.hypervisor.libvirt.connection import Access, Lane, Libvirt, tolerating
from agent.hypervisor.libvirt.errors import Code
from agent.hypervisor.libvirt.threads import Late
from agent.secret import Secret
from tests.integration.libvirt_ground import NOTICED_LATE, PATIENCE, open_files, open_libvirt, until_open_files
from tests.rig.libvirtd import Libvirtd

ABSENT = bytes(16)


@pytest.fixture
def late() -> list[Late]:
    return []


@pytest.fixture
def keepalive_s() -> int:
    return 1


@pytest.fixture
async def libvirt(libvirtd: Libvirtd, late: list[Late], keepalive_s: int) -> AsyncIterator[Libvirt]:
    made = open_libvirt(libvirtd, late, keepalive_s=keepalive_s)
    yield made
    assert await made.close(timeout=PATIENCE)


async def ask(libvirt: Libvirt, lane: Lane = Lane.QUERY, timeout: float = PATIENCE) -> str:
    return await libvirt.call(lane, lambda c: str(c.getInfo()[0]), what="asking the name", timeout=timeout)


@asynccontextmanager
async def asking(libvirt: Libvirt) -> AsyncIterator[asyncio.Task[str]]:
    """Inside, libvirt has been asked."""
    begun = threading.Event()

    def name(connection: Connection) -> str:
        begun.set()
        return str(connection.getInfo()[0])

    asked = libvirt.call(Lane.QUERY, name, what="asking the name", timeout=PATIENCE)
    task = asyncio.create_task(asked)
    async with asyncio.timeout(PATIENCE):
        while not begun.is_set():
            await asyncio.sleep(0.005)
    yield task
    await asyncio.wait({task})


async def all_back(libvirt: Libvirt) -> None:
    """Until no worker hangs any more."""
    async with asyncio.timeout(PATIENCE):
        while libvirt.lost:
            await asyncio.sleep(0.01)


async def test_a_call_gets_a_connection_and_its_answer(libvirt: Libvirt) -> None:
    assert await ask(libvirt)


async def test_each_lane_has_connections_of_its_own(libvirt: Libvirt) -> None:
    def itself(connection: Connection) -> int:
        return id(connection)

    seen = {lane: await libvirt.call(lane, itself, what="looking") for lane in Lane}
    assert len(set(seen.values())) == len(Lane)


async def test_an_error_says_what_was_attempted_and_keeps_libvirts_as_its_cause(libvirt: Libvirt) -> None:
    with pytest.raises(NotFound, match=r"finding nobody: .*no domain with matching uuid") as caught:
        await libvirt.call(Lane.QUERY, lambda c: c.lookupByUUID(ABSENT), what="finding nobody")
    assert isinstance(caught.value.__cause__, library.libvirtError)


async def test_an_error_that_nobody_foresaw_is_internal_with_an_incident(libvirt: Libvirt) -> None:
    def no_pool(connection: Connection) -> None:
        connection.storagePoolLookupByName("none")  # type: ignore[attr-defined]  # more than the agent uses

    with pytest.raises(Internal, match="looking for a pool: libvirt error 49") as caught:
        await libvirt.call(Lane.QUERY, no_pool, what="looking for a pool")
    assert caught.value.incident
    assert isinstance(caught.value.__cause__, library.libvirtError)


async def test_a_file_that_fails_a_call_is_told_as_storage_tells_it(libvirt: Libvirt) -> None:
    with pytest.raises(Unavailable, match="looking at the disk: No such file or directory"):
        await libvirt.call(Lane.QUERY, lambda _: os.statvfs("/nowhere"), what="looking at the disk")


async def test_a_tolerated_error_is_none_and_another_one_is(libvirt: Libvirt) -> None:
    def look(connection: Connection) -> str:
        with tolerating(Code.NO_DOMAIN):
            connection.lookupByUUID(ABSENT)
        with tolerating(Code.NO_NETWORK):
            connection.lookupByUUID(ABSENT)
        return "unreached"

    with pytest.raises(NotFound):
        await libvirt.call(Lane.QUERY, look, what="looking")


async def test_a_libvirt_that_isnt_there_is_unavailable_and_named() -> None:
    nowhere = Libvirt(Access("qemu:///system?socket=/nowhere/libvirt-sock"))
    with pytest.raises(Unavailable, match="/nowhere/libvirt-sock"):
        await ask(nowhere)
    assert await nowhere.close()


def test_a_password_doesnt_show() -> None:
    access = Access("qemu:///system", username="agent", password=Secret("open sesame"))
    assert "sesame" not in repr(access)


@pytest.mark.parametrize("keepalive_s", [NOTICED_LATE])
async def test_a_call_into_a_frozen_libvirtd_ends_at_its_deadline_and_its_outcome_is_unknown(
    libvirtd: Libvirtd, libvirt: Libvirt, late: list[Late]
) -> None:
    await ask(libvirt)
    libvirtd.freeze()
    try:
        with pytest.raises(TimedOut, match=r"asking the name .* unknown"):
            await ask(libvirt, timeout=1.0)
        assert libvirt.lost == 1
    finally:
        libvirtd.thaw()
    await all_back(libvirt)
    async with asyncio.timeout(PATIENCE):
        while [one.what for one in late] != ["asking the name"]:
            await asyncio.sleep(0.01)
    for lane in Lane:
        assert await ask(libvirt, lane)


async def test_a_call_that_gets_no_connection_has_done_nothing(libvirtd: Libvirtd, libvirt: Libvirt) -> None:
    libvirtd.freeze()
    try:
        for lane in Lane:
            with pytest.raises(Unavailable, match="not begun"):
                await ask(libvirt, lane, timeout=1.0)
        assert libvirt.lost == 2
    finally:
        libvirtd.thaw()
    for lane in Lane:
        assert await ask(libvirt, lane)
    await all_back(libvirt)


async def test_keepalive_ends_a_call_into_a_frozen_libvirtd_before_a_far_deadline(
    libvirtd: Libvirtd, libvirt: Libvirt
) -> None:
    await ask(libvirt)
    libvirtd.freeze()
    try:
        began = time.monotonic()
        with pytest.raises(Unavailable) as caught:
            await ask(libvirt)
        assert 1 < time.monotonic() - began < PATIENCE
    finally:
        libvirtd.thaw()
    assert caught.value.details == {"outcome": "unknown"}
    assert await ask(libvirt)
    assert libvirt.lost == 0


async def test_a_libvirtd_that_dies_during_a_call_leaves_the_outcome_unknown(
    libvirtd: Libvirtd, libvirt: Libvirt
) -> None:
    await ask(libvirt)
    libvirtd.freeze()
    try:
        async with asking(libvirt) as call:
            await asyncio.to_thread(libvirtd.kill)
            with pytest.raises(Unavailable) as caught:
                await call
        assert caught.value.details == {"outcome": "unknown"}
        with pytest.raises(Unavailable, match="can't be reached"):
            await ask(libvirt)
    finally:
        await asyncio.to_thread(libvirtd.start)
    assert await ask(libvirt)


async def test_after_a_restart_the_first_call_works_and_nothing_is_left_open(
    libvirtd: Libvirtd, libvirt: Libvirt
) -> None:
    await ask(libvirt)
    before = open_files()
    for _ in range(3):
        await asyncio.to_thread(libvirtd.restart)
        await until_open_files(before - 1)  # libvirt's event thread has noticed
        assert await ask(libvirt)
    await until_open_files(before)
