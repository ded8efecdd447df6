from __future__ import annotations

import pytest

from agent.admission import TABLE, Accept, AlreadySo, Deny, Verb, admit
from agent.spec import PowerState

STATES = [*PowerState, None]


@pytest.mark.parametrize("verb", Verb)
@pytest.mark.parametrize("state", STATES)
def test_every_pair_of_verb_and_state_has_an_answer(verb: Verb, state: PowerState | None) -> None:
    assert isinstance(admit(verb, state), Accept | AlreadySo | Deny)


@pytest.mark.parametrize("state", STATES)
def test_destroy_is_always_taken(state: PowerState | None) -> None:
    assert admit(Verb.DESTROY, state) == Accept()


@pytest.mark.parametrize("verb", [verb for verb in Verb if verb is not Verb.DESTROY])
def test_an_absent_instance_takes_nothing_else(verb: Verb) -> None:
    answer = admit(verb, None)
    assert isinstance(answer, Deny)
    assert answer.absent


@pytest.mark.parametrize("verb", TABLE)
def test_what_is_unknown_is_never_guessed(verb: Verb) -> None:
    assert isinstance(admit(verb, PowerState.UNKNOWN), Deny)


@pytest.mark.parametrize(
    ("verb", "after"),
    [
        (Verb.START, PowerState.RUNNING),
        (Verb.STOP, PowerState.SHUTDOWN),
        (Verb.PAUSE, PowerState.PAUSED),
        (Verb.UNPAUSE, PowerState.RUNNING),
        (Verb.SUSPEND, PowerState.SUSPENDED),
        (Verb.RESUME, PowerState.RUNNING),
    ],
)
def test_repeating_what_succeeded_is_success(verb: Verb, after: PowerState) -> None:
    assert admit(verb, after) == AlreadySo()


def test_no_row_takes_a_state_twice() -> None:
    for row in TABLE.values():
        assert not row.accept & row.already


def test_a_denial_says_what_to_do_about_it() -> None:
    answer = admit(Verb.START, PowerState.PAUSED)
    assert isinstance(answer, Deny)
    assert "unpause" in answer.reason
