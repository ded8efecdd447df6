"""A client knows which durable events are new, which are repeats, and which are missing."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from agent.rpc.schema.event_types import TYPES
from agent.rpc.schema.events import CloudEvent
from agent.rpc.streams import DURABLE, Position, Streams, Verdict, covers_durable, matches, routing_key

NEW, SEEN, GAP, ANOTHER = Verdict.NEW, Verdict.SEEN, Verdict.GAP, Verdict.ANOTHER


def event(sequence: int | None, stream: UUID | None = None, source: str = "/compute/h1") -> CloudEvent:
    number = None if sequence is None else f"{sequence:020d}"
    return CloudEvent(id="x", source=source, type="t", time=datetime.now(UTC), stream=stream, sequence=number)


def test_a_repeat_is_known_and_a_gap_is_no_repeat() -> None:
    streams, stream = Streams(complete=False), uuid4()
    seen = [streams.take(event(number, stream)) for number in (1, 2, 3, 2, 3, 4, 9, 10, 9)]
    assert seen == [NEW, NEW, NEW, SEEN, SEEN, NEW, NEW, NEW, SEEN]


def test_who_is_sent_everything_sees_a_gap_until_it_is_filled() -> None:
    streams, stream = Streams(complete=True), uuid4()
    assert [streams.take(event(number, stream)) for number in (5, 8, 8, 6, 7, 8, 9)] == [
        *(NEW, GAP, GAP),
        *(NEW, NEW, NEW, NEW),
    ]


def test_what_is_missing_can_be_given_up_and_nothing_goes_back() -> None:
    streams, stream = Streams(complete=True), uuid4()
    streams.take(event(5, stream))
    streams.give_up_before(event(9, stream))
    streams.give_up_before(event(3, stream))
    assert streams.at("h1") == Position(8, stream)
    assert streams.take(event(9, stream)) is NEW


def test_a_host_with_another_stream_has_lost_its_journal() -> None:
    streams, one, other = Streams(complete=True), uuid4(), uuid4()
    assert streams.take(event(5, one)) is NEW
    assert streams.take(event(3, other)) is ANOTHER
    streams.begin_another(event(3, other))
    assert streams.take(event(3, other)) is GAP
    assert streams.take(event(1, other)) is NEW


def test_repeats_of_the_stream_before_are_known_as_such() -> None:
    streams, one, other = Streams(complete=True), uuid4(), uuid4()
    streams.take(event(5, one))
    streams.begin_another(event(1, other))
    assert streams.take(event(1, other)) is NEW
    assert streams.take(event(5, one)) is SEEN
    assert streams.take(event(8, one)) is NEW  # what was lost before it is nobody's to tell any more
    assert streams.take(event(2, other)) is NEW


def test_hosts_are_counted_apart() -> None:
    streams = Streams(complete=True)
    assert streams.take(event(5, uuid4())) is NEW
    assert streams.take(event(1, uuid4(), "/compute/h2")) is NEW
    assert sorted(streams.hosts) == ["h1", "h2"]


def test_what_has_no_number_is_always_new() -> None:
    streams = Streams(complete=True)
    assert streams.take(event(None)) is NEW
    assert streams.take(event(None)) is NEW
    assert streams.hosts == []


@pytest.mark.parametrize(
    ("pattern", "key", "does"),
    [
        ("#", "a.b.c", True),
        ("a.#", "a", True),
        ("a.#", "a.b.c", True),
        ("#.c", "a.b.c", True),
        ("#.c", "a.b.d", False),
        ("a.*", "a.b", True),
        ("a.*", "a.b.c", False),
        ("a.*", "a", False),
        ("*.b.#", "a.b", True),
        ("a.#.d", "a.b.c.d", True),
        ("a.b", "a.b.c", False),
    ],
)
def test_a_binding_takes_what_a_topic_exchange_would_route_by_it(pattern: str, key: str, does: bool) -> None:
    assert matches([pattern], key) is does
    assert matches(["nothing", pattern], key) is does


def test_the_bindings_for_all_durable_events_take_those_and_no_others() -> None:
    for kind in TYPES:
        for end in ("0f0e0d0c-0b0a-4908-8706-050403020100",) if kind.subject else ("h1", "h1.example.org"):
            key = f"{kind.type.replace('<method>', 'spawn')}.{end}"
            assert matches(DURABLE, key) is kind.durable, key


@pytest.mark.parametrize(
    ("keys", "do"),
    [
        (["#"], True),
        (["compute.#"], True),
        (["compute.instance.#", "compute.host.#"], True),
        (["compute.instance.#"], False),
        (["compute.instance.#", "compute.host.report.#"], False),
        (["#.0f0e0d0c-0b0a-4908-8706-050403020100"], False),
    ],
)
def test_some_bindings_take_every_durable_event(keys: list[str], do: bool) -> None:
    assert covers_durable(keys) is do


def test_an_event_of_a_host_is_published_under_the_hosts_name() -> None:
    assert routing_key(event(1, uuid4(), "/compute/h1.example.org")) == "t.h1.example.org"
    assert routing_key(event(1).model_copy(update={"subject": "u"})) == "t.u"
