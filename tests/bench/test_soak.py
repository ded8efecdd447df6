"""Nothing grows with the number of operations. `scripts/bench soak` prints the figures."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
from collections import Counter
from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from agent.hypervisor.fake.life import Domain
from agent.instances import Job, Mailbox
from agent.journal import EventRecord, OperationRecord
from agent.operations.turn import Turn
from agent.rpc.desk import Call
from agent.service import Service
from agent.settings import Amqp, Hypervisor, Settings
from tests.bench.bed import Bed
from tests.bench.soak import EACH, GUESTS, OPERATIONS, RSS_KIB_EACH, Sample, grown, life, run
from tests.e2e.plain import PlainClient
from tests.rig import rig_directory

FLAT = [Sample(n * 1000, 60_000 + n % 3 * 40, 30, 6, 4000.0 + n % 2 * 100, 500, 500) for n in range(1, 21)]
LIVES = 10
KEPT_TYPES = (Job, Mailbox, Turn, OperationRecord, EventRecord, Call, Domain, asyncio.Task)


@pytest.fixture(scope="module")
def bed() -> Iterator[Bed]:
    with rig_directory() as directory:
        made = Bed(directory)
        yield made
        made.close()


def growing(field: str, each: float) -> list[Sample]:
    return [
        dataclasses.replace(sample, **{field: type(getattr(sample, field))(getattr(sample, field) + n * each)})
        for n, sample in enumerate(FLAT)
    ]


def test_what_goes_up_and_down_is_flat() -> None:
    assert grown(FLAT) == []


def test_what_grew_while_it_was_cold_is_flat() -> None:
    cold = [dataclasses.replace(s, rss_kib=s.rss_kib // 2, threads=2, journal_kib=1.0) for s in FLAT[:8]]
    assert grown([*cold, *FLAT[8:]]) == []


@pytest.mark.parametrize(
    ("samples", "told"),
    [
        (growing("rss_kib", 1000 * RSS_KIB_EACH * 1.2), "memory"),
        (growing("descriptors", 0.2), "descriptors"),
        (growing("threads", 0.2), "threads"),
        (growing("journal_kib", 100.0), "journal"),
    ],
)
def test_what_grows_slowly_and_steadily_is_found(samples: list[Sample], told: str) -> None:
    (flaw,) = grown(samples)
    assert told in flaw


@pytest.mark.timeout(600)
async def test_a_short_soak_leaves_the_agent_with_what_it_had(bed: Bed) -> None:
    samples = await run(bed, 5 * GUESTS * EACH)
    first, last = samples[1], samples[-1]
    assert last.operations >= 1500
    assert (last.descriptors, last.threads) == (first.descriptors, first.threads)
    assert last.journal_kib <= first.journal_kib * 1.1


WORK = {"Job", "Mailbox", "Turn", "OperationRecord", "EventRecord", "Call", "Domain"}


async def test_after_its_work_the_agent_holds_no_object_of_it(bed: Bed) -> None:
    """In this process, so that its objects can be counted."""
    there = census()  # modules of other tests hold some
    settings = Settings(
        host="inside",
        state_dir=bed.directory / "inside",
        amqp=Amqp(url=SecretStr(bed.broker.url)),
        hypervisor=Hypervisor(driver="fake"),
    )
    service = Service(settings)
    running = asyncio.create_task(service.run())
    async with asyncio.timeout(60):
        while getattr(service, "consumer", None) is None:
            await asyncio.sleep(0.01)
        await service.consumer.consuming()
    counts = []
    async with PlainClient(bed.broker.url, "inside") as client:
        for _ in range(3):
            await asyncio.gather(*(life(client) for _ in range(LIVES)))
            counts.append(await at_rest(service, there))
    service.stop()
    await running
    # One more or less is the agent's own clock; what every guest leaves behind is LIVES more.
    assert {name: more for name, more in (counts[2] - counts[1]).items() if more > LIVES / 2} == {}


async def at_rest(service: Service, there: Counter[str]) -> Counter[str]:
    """What is left of the kinds of objects that work is made of: of WORK no more than was `there`, or it is a
    TimeoutError."""
    await service.instances.wait_until_idle()
    assert await service.outbox.flush(30)
    before: Counter[str] = Counter()
    async with asyncio.timeout(30):
        while (now := census()) != before or (now - there).keys() & WORK:
            before = now
            await asyncio.sleep(0.2)
    return now


def census() -> Counter[str]:
    """By type, tasks by what they do."""
    gc.collect()
    found = (o for o in gc.get_objects() if isinstance(o, KEPT_TYPES))
    return Counter(kind(o) for o in found)


def kind(found: object) -> str:
    if isinstance(found, asyncio.Task):
        return str(getattr(found.get_coro(), "__qualname__", "task"))
    return type(found).__name__


@pytest.mark.slow
@pytest.mark.timeout(7200)
async def test_a_days_load_leaves_nothing_grown(bed: Bed) -> None:
    samples = await run(bed, OPERATIONS)
    assert samples[-1].operations >= OPERATIONS
    assert grown(samples) == []
