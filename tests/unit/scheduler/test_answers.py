"""What an answer means for a placement: it goes elsewhere only when nothing of it can be where it was sent."""

from __future__ import annotations

import pytest

from agent.errors import BY_CODE, AgentError, Internal, TimedOut, Unavailable
from agent.rpc.client import BrokerUnreachable, NoAnswer, UnknownError, UnknownRetryable, Unroutable
from examples.scheduler.answers import NEXT, Next, host_is_resting, next_after

CERTAINLY_NOT_THERE = {
    "no_capacity",
    "unsupported",
    "unavailable",
    "operation_failed",
    "not_found",
    "busy",
    "expired",
    "cancelled",
}


@pytest.mark.parametrize("code", BY_CODE)
def test_only_errors_that_say_that_nothing_is_there_let_it_go_elsewhere_at_once(code: str) -> None:
    at_once = next_after(BY_CODE[code]("m")) in (Next.ELSEWHERE, Next.SOON)
    assert at_once is (code in CERTAINLY_NOT_THERE)


@pytest.mark.parametrize("error", [TimedOut("m"), Internal("m"), UnknownError("m"), UnknownRetryable("m")])
def test_what_nobody_knows_is_destroyed_first(error: TimedOut) -> None:
    assert next_after(error) is Next.DESTROY


def test_without_an_answer_the_same_is_asked_again() -> None:
    assert next_after(NoAnswer("m")) is Next.ASK_AGAIN


def test_that_a_repeat_was_not_taken_says_nothing_of_what_was_sent_before() -> None:
    assert next_after(Unavailable("m"), again=True) is Next.DESTROY
    assert next_after(Unroutable("m"), again=True) is Next.ASK_AGAIN


@pytest.mark.parametrize("kind", [kind for kind in NEXT if kind not in (Unavailable, Unroutable)])
def test_all_other_answers_to_a_repeat_are_those_of_the_first(kind: type[AgentError]) -> None:
    assert next_after(kind("m"), again=True) is NEXT[kind]


def test_a_class_below_one_of_the_table_is_as_that_one() -> None:
    assert BrokerUnreachable not in NEXT
    assert next_after(BrokerUnreachable("m")) is NEXT[Unavailable]


def test_a_host_rests_when_it_is_the_host_that_cannot() -> None:
    assert host_is_resting(Unavailable("m"))
    assert host_is_resting(Unroutable("m"))
    assert not host_is_resting(BY_CODE["no_capacity"]("m"))
