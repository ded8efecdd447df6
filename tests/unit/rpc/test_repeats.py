"""A client sees each durable event once."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

from agent.rpc.schema.events import CloudEvent
from agent.rpc.subscription import Repeats


def event(sequence: int | None, stream: UUID | None = None, source: str = "/compute/h1") -> CloudEvent:
    number = None if sequence is None else f"{sequence:020d}"
    return CloudEvent(id="x", source=source, type="t", time=datetime.now(UTC), stream=stream, sequence=number)


def test_a_repeat_is_known_and_a_gap_is_no_repeat() -> None:
    repeats, stream = Repeats(), uuid4()
    seen = [repeats.is_new(event(number, stream)) for number in (1, 2, 3, 2, 3, 4, 9, 10, 9)]
    assert seen == [True, True, True, False, False, True, True, True, False]


def test_streams_and_hosts_are_counted_apart() -> None:
    repeats, one, other = Repeats(), uuid4(), uuid4()
    assert repeats.is_new(event(5, one))
    assert repeats.is_new(event(1, other))  # the host lost its journal and began anew
    assert repeats.is_new(event(1, one, "/compute/h2"))


def test_what_has_no_number_is_always_new() -> None:
    repeats = Repeats()
    assert repeats.is_new(event(None))
    assert repeats.is_new(event(None))
