"""Answers outside the journal: together, none held up by another, and none for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from agent.rpc.answers import Answers
from agent.rpc.message import Outgoing
from agent.rpc.publisher import Outcome
from agent.rpc.strays import Strays


class Broker:
    """Says what it is told to say, in its order; confirms when it was told nothing. `gone` queues take nothing."""

    def __init__(self) -> None:
        self.published: list[list[str]] = []
        self.outcomes: list[Outcome] = []
        self.gone: set[str] = set()
        self.up = asyncio.Event()
        self.up.set()

    async def connected(self) -> None:
        await self.up.wait()

    async def publish(self, messages: Sequence[Outgoing]) -> list[Outcome]:
        self.published.append([message.message_id for message in messages])
        return [self._outcome(message) for message in messages]

    async def deliver(self, message: Outgoing) -> Outcome:
        return (await self.publish([message]))[0]

    def _outcome(self, message: Outgoing) -> Outcome:
        if message.routing_key in self.gone:
            return Outcome.UNROUTABLE
        return self.outcomes.pop(0) if self.outcomes else Outcome.CONFIRMED


def answer(name: str, queue: str = "q") -> Outgoing:
    return Outgoing(exchange="", routing_key=queue, body=b"", message_id=name)


async def test_what_is_ready_at_once_goes_out_together() -> None:
    broker = Broker()
    answers = Answers(broker, homeless_s=60)
    await asyncio.gather(*(answers.send(answer(str(n)), None) for n in range(3)))
    await answers.send(answer("later"), None)
    assert broker.published == [["0", "1", "2"], ["later"]]
    assert not answers.full


async def test_one_that_may_be_lost_is_sent_again_and_the_others_are_not() -> None:
    broker = Broker()
    broker.outcomes = [Outcome.CONFIRMED, Outcome.UNKNOWN, Outcome.REFUSED]
    answers = Answers(broker, homeless_s=60)
    await asyncio.gather(*(answers.send(answer(str(n)), 60) for n in range(3)))
    assert broker.published == [["0", "1", "2"], ["1"]]


async def test_one_that_nobody_waits_for_any_more_is_dropped() -> None:
    broker = Broker()
    broker.up.clear()
    answers = Answers(broker, homeless_s=60)
    late, wanted = answers.send(answer("late"), 0.0), answers.send(answer("wanted"), 60)
    await asyncio.sleep(0)
    broker.up.set()
    await asyncio.gather(late, wanted)
    assert broker.published == [["wanted"]]


async def test_a_caller_without_a_queue_holds_nobody_up() -> None:
    broker = Broker()
    broker.gone.add("gone")
    answers = Answers(broker, homeless_s=60, most=2)
    await asyncio.gather(answers.send(answer("1", "gone"), None), answers.send(answer("2"), None))
    assert not answers.full
    await answers.close(0)


async def test_its_answers_go_out_when_its_queue_is_there_again() -> None:
    broker = Broker()
    broker.gone.add("gone")
    answers = Answers(broker, homeless_s=60)
    await answers.send(answer("1", "gone"), None)
    await answers.send(answer("2", "gone"), None)
    broker.gone.clear()
    async with asyncio.timeout(10):
        while broker.published[-2:] != [["1"], ["2"]]:
            await asyncio.sleep(0.05)
    await answers.close(0)


async def test_as_many_as_may_be_on_their_way_are_full() -> None:
    broker = Broker()
    broker.up.clear()
    answers = Answers(broker, homeless_s=60, most=2)
    for n in range(2):
        answers.send(answer(str(n)), None)
    assert answers.full
    await answers.close(0)


async def test_a_queue_that_stayed_missing_is_tried_once_for_all_and_what_follows_is_dropped_at_once() -> None:
    broker = Broker()
    broker.gone = {"q"}
    strays = Strays(broker, keep_s=60, again_s=0.01)
    strays.keep(answer("one"), 0)
    await asyncio.gather(*strays._trying)
    strays.keep(answer("two"), 60)
    assert not strays._trying
    assert broker.published == []


async def test_one_whose_caller_has_given_up_is_kept_no_longer() -> None:
    broker = Broker()
    broker.gone = {"q"}
    strays = Strays(broker, keep_s=3600, again_s=0.01)
    strays.keep(answer("one"), 0.01)
    async with asyncio.timeout(15):
        await asyncio.gather(*strays._trying)
