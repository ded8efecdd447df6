"""What the agent hears of itself, and when it calls itself deaf."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from agent.names import Names
from agent.rpc.message import Outgoing, Properties
from agent.rpc.probe import CONTENT_TYPE, EXPIRES, Probe, Way
from agent.rpc.publisher import Outcome
from agent.rpc.tasks import end

NAMES = Names(host="h1")
NOW = 1000.0
OVERDUE = 15.0


@dataclass
class Feed:
    last: float = 0.0
    busy: bool = False


@dataclass
class Post:
    """Takes what is published, and says of it what it is told to; nothing, as long as that is None."""

    outcome: Outcome | None = Outcome.CONFIRMED
    free: bool = True
    sent: asyncio.Queue[Outgoing] = field(default_factory=asyncio.Queue)

    def can_publish(self) -> bool:
        return self.free

    def blocked(self) -> bool:
        return not self.free

    async def publish(self, messages: list[Outgoing]) -> list[Outcome]:
        for message in messages:
            self.sent.put_nowait(message)
        if self.outcome is None:
            await asyncio.Event().wait()
        return [self.outcome or Outcome.UNKNOWN] * len(messages)


@dataclass
class Ground:
    probe: Probe
    post: Post
    feeds: dict[str, Feed]
    lost: list[bool]

    async def next(self, queue: str) -> Outgoing:
        """The next probe on its way to a queue."""
        async with asyncio.timeout(10):
            while (message := await self.post.sent.get()).routing_key != queue:
                pass
        return message

    def deliver(self, message: Outgoing, queue: str | None = None) -> bool:
        properties = Properties(content_type=message.content_type, message_id=message.message_id)
        return self.probe.take(queue or message.routing_key, properties, message.body)


@asynccontextmanager
async def probing(post: Post | None = None, *, interval: float = 0.01) -> AsyncIterator[Ground]:
    post = post or Post()
    feeds = {NAMES.queries: Feed(), NAMES.commands: Feed()}
    lost: list[bool] = []
    probe = Probe(NAMES, post, feeds.get, interval, lambda: lost.append(True))
    task = asyncio.create_task(probe.run())
    try:
        yield Ground(probe, post, feeds, lost)
    finally:
        await end(task)


def way(**more: float | bool | Feed | None) -> Way:
    """Quiet for a while, on a feed that is quiet too."""
    return Way(**({"queue": "q", "feed": Feed(), "sent": NOW - 20, "quiet": NOW - 20} | more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seen", "deaf"),
    [
        (way(), True),
        (way(quiet=NOW - 14), False),
        (way(quiet=None), False),
        (way(feed=None), False),
        (way(feed=Feed(last=NOW - 1)), False),
        (way(feed=Feed(last=NOW - 16)), True),
        (way(feed=Feed(busy=True)), False),
        (way(sent=None), True),
    ],
    ids=[
        "overdue",
        "not overdue yet",
        "none was sent",
        "nobody listens: there is no room",
        "other things came",
        "other things came long ago",
        "what came is being worked off",
        "it found no way",
    ],
)
def test_a_way_is_deaf_when_its_probe_is_overdue_and_nothing_else_came(seen: Way, deaf: bool) -> None:
    assert (seen.deaf(NOW, OVERDUE) is not None) == deaf


def test_time_in_which_the_broker_took_nothing_doesnt_count() -> None:
    seen, unsent = way(), way(quiet=None)
    seen.pass_over(NOW)
    assert seen.deaf(NOW + 14, OVERDUE) is None
    assert seen.deaf(NOW + 16, OVERDUE) is not None
    unsent.pass_over(NOW)
    assert unsent.deaf(NOW + 16, OVERDUE) is None


async def test_a_probe_that_a_blocking_broker_doesnt_read_makes_nobody_deaf() -> None:
    """Nor when the alarm is over, and the probe isn't back yet."""
    async with probing(Post(outcome=None), interval=60) as ground:
        await ground.next(NAMES.queries)
        (queries, _) = ground.probe._ways
        queries.quiet = time.monotonic() - 1000
        ground.feeds[NAMES.queries].last = queries.quiet
        assert ground.probe.deafness() is not None
        ground.post.free = False
        assert ground.probe.deafness() is None
        ground.post.free = True
        assert ground.probe.deafness() is None


@pytest.mark.parametrize(
    ("seen", "sends"),
    [
        (way(sent=None), True),
        (way(sent=None, feed=None), False),
        (way(sent=None, feed=Feed(busy=True)), False),
        (way(sent=NOW - 29), False),
        (way(sent=NOW - 31), True),
        (way(sent=NOW - 31, feed=Feed(last=NOW - 1)), False),
    ],
    ids=[
        "none is under way",
        "nobody listens",
        "busy",
        "one is under way",
        "it has expired",
        "a backlog is before it",
    ],
)
def test_there_is_one_probe_on_a_way_at_most(seen: Way, sends: bool) -> None:
    assert seen.may_send(NOW, 5.0) == sends


async def test_a_probe_goes_to_both_queues_and_is_small_transient_and_expires() -> None:
    async with probing() as ground:
        for queue in (NAMES.queries, NAMES.commands):
            message = await ground.next(queue)
            assert message.exchange == NAMES.exchange
            assert message.body == b""
            assert not message.persistent
            assert message.mandatory
            assert message.expiration == pytest.approx(EXPIRES * 0.01)
            assert message.reply_to is None


async def test_one_that_comes_back_is_heard_with_what_it_took_and_another_is_sent() -> None:
    async with probing() as ground:
        began = time.monotonic()
        first, commands = await ground.next(NAMES.queries), ground.feeds[NAMES.commands]
        commands.busy = True
        assert not ground.probe.heard_since(began)
        assert ground.deliver(first)
        assert ground.probe.heard_since(began)
        assert ground.probe.took_s is not None
        assert 0 <= ground.probe.took_s < 10
        assert ground.probe.heard_at is not None
        assert (await ground.next(NAMES.queries)).message_id != first.message_id
        commands.busy = False
        assert not ground.probe.heard_since(began), "what is listened to counts"


async def test_one_of_another_run_or_another_queue_or_a_forged_one_is_swallowed_and_counts_for_nothing() -> None:
    async with probing(Post(free=False), interval=60) as other, probing(interval=60) as ground:
        message = await ground.next(NAMES.queries)
        assert other.deliver(message)
        assert ground.deliver(message, NAMES.commands)
        assert ground.probe.take(NAMES.queries, Properties(content_type=CONTENT_TYPE, message_id="forged"), b"")
        assert ground.probe.take(NAMES.queries, Properties(content_type=CONTENT_TYPE), b"")
        assert ground.probe.heard_at is None
        assert other.probe.heard_at is None
        assert ground.deliver(message)
        assert ground.probe.heard_at is not None
        heard = ground.probe.heard_at
        assert ground.deliver(message), "a second time"
        assert ground.probe.heard_at == heard


@pytest.mark.parametrize(
    ("properties", "body"),
    [
        (Properties(content_type="application/json", message_id="m1"), b"{}"),
        (Properties(content_type="application/json"), b""),
        (Properties(content_type=CONTENT_TYPE), b'{"method": "ping"}'),
        (Properties(content_type=CONTENT_TYPE, reply_to="me"), b""),
        (Properties(), b""),
    ],
)
async def test_a_request_is_no_probe(properties: Properties, body: bytes) -> None:
    async with probing() as ground:
        assert not ground.probe.take(NAMES.commands, properties, body)


async def test_while_nothing_can_be_published_none_is_sent_and_nobody_is_called_deaf() -> None:
    async with probing(Post(free=False)) as ground:
        await asyncio.sleep(0.1)
        assert ground.post.sent.empty()
        assert ground.probe.deafness() is None
        ground.post.free = True
        await ground.next(NAMES.queries)


@pytest.mark.parametrize("outcome", [Outcome.UNROUTABLE, Outcome.REFUSED])
async def test_one_that_finds_no_way_has_what_was_declared_looked_at_and_is_sent_again(outcome: Outcome) -> None:
    async with probing(Post(outcome)) as ground:
        first = await ground.next(NAMES.queries)
        assert (await ground.next(NAMES.queries)).message_id != first.message_id
        assert ground.lost


async def test_a_way_on_which_none_comes_through_is_deaf_however_often_one_is_sent() -> None:
    async with probing(Post(Outcome.UNROUTABLE), interval=0.05) as ground:
        async with asyncio.timeout(10):
            while ground.probe.deafness() is None:
                await asyncio.sleep(0.005)


@pytest.mark.parametrize(("outcome", "publishers"), [(Outcome.CONFIRMED, False), (None, True)])
async def test_whose_fault_it_is_shows_in_whether_the_broker_took_the_probe(
    outcome: Outcome | None, publishers: bool
) -> None:
    async with probing(Post(outcome)) as ground:
        await ground.next(NAMES.queries)
        async with asyncio.timeout(10):
            while (deaf := ground.probe.deafness()) is None:
                await asyncio.sleep(0.005)
        assert deaf.publishers == publishers


async def test_a_feed_that_was_opened_anew_is_heard_anew() -> None:
    async with probing() as ground:
        began = time.monotonic()
        first = await ground.next(NAMES.queries)
        del ground.feeds[NAMES.commands]
        ground.deliver(first)
        assert ground.probe.heard_since(began)
        ground.feeds[NAMES.queries] = Feed()
        assert not ground.probe.heard_since(began)
        assert ground.deliver(await ground.next(NAMES.queries))
        assert ground.probe.heard_since(began)
        del ground.feeds[NAMES.queries]
        assert not ground.probe.heard_since(began)
