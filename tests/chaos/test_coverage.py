"""The deck deals what was hit least; its places are those that operations really pass."""

from __future__ import annotations

import random

from agent.operations import TABLE
from tests.chaos.coverage import Deck, Place
from tests.chaos.places import CALLS, FAILS, UNDONE, chain, fake_places, libvirt_places

A, B, C = (
    Place("start", "domains.start", "before"),
    Place("start", "domains.start", "half"),
    Place("stop", "x", "y"),
)


def test_every_place_is_dealt_before_one_is_dealt_again() -> None:
    deck, rng = Deck([A, B, C]), random.Random(1)
    assert {place for _ in range(3) for place in deck.deal(1, rng)} == {A, B, C}


def test_what_was_dealt_and_missed_is_dealt_again_before_what_was_hit() -> None:
    deck, rng = Deck([A, B]), random.Random(1)
    deck.deal(2, rng)
    deck.hit(A)
    assert deck.deal(1, rng) == [B]
    assert deck.missed == [B]
    assert str(deck) == "1 of 2, 1 times"


def test_a_place_that_isnt_in_the_deck_doesnt_count() -> None:
    deck = Deck([A])
    deck.hit(B)
    assert deck.missed == [A]


def test_every_operation_has_places_to_die_at() -> None:
    for places in (fake_places(), libvirt_places()):
        assert {place.method for place in places} == set(TABLE)
        assert len(places) == len(set(places))


def test_whatever_can_be_undone_has_places_in_its_undoing() -> None:
    undoable = {method for method, operation in TABLE.items() if operation.can_be_undone}
    assert set(UNDONE) == set(FAILS) == undoable
    assert all(FAILS[method] in CALLS[method] for method in undoable)


def test_the_requests_before_a_method_end_with_it_and_begin_with_a_spawn() -> None:
    for method in TABLE:
        assert chain(method)[0] == "spawn"
        assert chain(method)[-1] == method


def test_a_guest_that_lets_nothing_go_is_off_before_a_detach() -> None:
    assert chain("detach_volume", lets_go=False) == ("spawn", "attach_volume", "stop", "detach_volume")
    assert "stop" not in chain("attach_volume", lets_go=False)
