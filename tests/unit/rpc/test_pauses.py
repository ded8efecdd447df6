"""How long is waited before the next connection."""

from __future__ import annotations

import pytest

from agent.rpc.connection import LONGEST_PAUSES, pauses


def test_the_pause_doubles_for_each_connection_that_was_of_no_use_up_to_a_bound() -> None:
    assert [pauses(number) for number in range(6)] == [1, 1, 2, 4, 8, 8]


@pytest.mark.parametrize("number", [9, 100, 10**9])
def test_after_very_many_it_is_the_longest(number: int) -> None:
    assert pauses(number) == LONGEST_PAUSES
