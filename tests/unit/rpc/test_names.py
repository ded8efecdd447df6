"""Names on the broker."""

import pytest

from agent.names import Names, SharedNames


def test_names_are_those_of_the_reference() -> None:
    names = Names(host="h1")
    assert (names.exchange, names.shared, names.commands, names.queries) == (
        "compute",
        "compute",
        "compute.h1",
        "compute.h1.query",
    )
    assert (names.fanout, names.replies, names.events, names.dead_letters) == (
        "compute_fanout",
        "compute.replies",
        "compute.events",
        "compute.dead",
    )


def test_the_exchange_is_named_apart_from_all_else() -> None:
    names = Names(host="h1", exchange="nova")
    assert names.exchange == "nova"
    assert names.commands == "compute.h1"


def test_two_hosts_share_no_queue_of_their_own() -> None:
    one, two = SharedNames().of("h1"), SharedNames().of("h2")
    for name in ("commands", "queries", "lock", "fanout_queue"):
        assert getattr(one, name) != getattr(two, name)


def test_the_fanout_queue_stays_the_same_over_restarts() -> None:
    assert Names(host="h1").fanout_queue == Names(host="h1").fanout_queue
    assert Names(host="h1").fanout_queue.startswith("compute_fanout_")


@pytest.mark.parametrize("host", ["", "events", "dead", "replies", "h1.query", "h1.agent", "x" * 250])
def test_a_host_whose_queue_would_be_another_thing_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match="host"):
        Names(host=host)
