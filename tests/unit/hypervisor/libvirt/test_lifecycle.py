"""libvirt's states and events in the words of the contract."""

from __future__ import annotations

import libvirt
import pytest

from agent.hypervisor.libvirt.lifecycle import (
    ASLEEP,
    NEWS,
    REASONS,
    STATES,
    Event,
    Power,
    State,
    news_of,
    power_of,
)
from agent.spec import PowerState

BOOTED = Power(PowerState.RUNNING, "booted")
PAUSED = Power(PowerState.PAUSED, "user")
OFF = Power(PowerState.SHUTDOWN, "destroyed")
SUSPENDED = Power(PowerState.SUSPENDED, "saved")


def numbers(prefix: str) -> dict[str, int]:
    """libvirt's constants that begin so, without the marks of a list's end."""
    found = {name[len(prefix) :]: getattr(libvirt, name) for name in dir(libvirt) if name.startswith(prefix)}
    return {name: number for name, number in found.items() if name != "LAST"}


@pytest.mark.parametrize("state", State)
def test_each_state_is_the_librarys_number_and_means_something(state: State) -> None:
    assert getattr(libvirt, f"VIR_DOMAIN_{state.name}") == state
    assert state in STATES


def test_no_state_of_the_library_is_missing() -> None:
    assert len(State) == 8
    assert not hasattr(libvirt, "VIR_DOMAIN_LAST") or len(State) == libvirt.VIR_DOMAIN_LAST


@pytest.mark.parametrize("state", [State.RUNNING, State.PAUSED, State.SHUTOFF, State.CRASHED])
def test_each_reason_of_the_library_has_its_word(state: State) -> None:
    known = numbers(f"VIR_DOMAIN_{state.name}_")
    assert sorted(known.values()) == list(range(len(REASONS[state])))


@pytest.mark.parametrize(
    "event", [Event.STARTED, Event.SUSPENDED, Event.RESUMED, Event.STOPPED, Event.SHUTDOWN, Event.PMSUSPENDED]
)
def test_each_detail_of_an_event_is_in_the_table(event: Event) -> None:
    assert getattr(libvirt, f"VIR_DOMAIN_EVENT_{event.name}") == event
    known = set(numbers(f"VIR_DOMAIN_EVENT_{event.name}_").values())
    assert known == {detail for each, detail in NEWS if each is event}


@pytest.mark.parametrize(
    ("state", "reason", "saved", "expected"),
    [
        (State.RUNNING, 1, False, BOOTED),
        (State.RUNNING, 5, False, Power(PowerState.RUNNING, "unpaused")),
        (State.BLOCKED, 0, False, Power(PowerState.RUNNING, "unknown")),
        (State.SHUTDOWN, 0, False, Power(PowerState.RUNNING, "unknown")),
        (State.PAUSED, 1, False, PAUSED),
        (State.PAUSED, 5, False, Power(PowerState.PAUSED, "I/O error")),
        (State.PAUSED, 6, False, Power(PowerState.PAUSED, "watchdog")),
        (State.PAUSED, 2, False, Power(PowerState.PAUSED, "migrating")),
        (State.PAUSED, 11, False, Power(PowerState.PAUSED, "starting up")),
        (State.SHUTOFF, 1, False, Power(PowerState.SHUTDOWN, "shutdown")),
        (State.SHUTOFF, 2, False, OFF),
        (State.SHUTOFF, 3, False, Power(PowerState.CRASHED, "crashed")),
        (State.SHUTOFF, 5, False, Power(PowerState.SHUTDOWN, "saved")),
        (State.SHUTOFF, 5, True, SUSPENDED),
        (State.SHUTOFF, 0, True, SUSPENDED),  # libvirtd forgets the reason when it restarts
        (State.SHUTOFF, 6, False, Power(PowerState.SHUTDOWN, "failed")),
        (State.CRASHED, 1, False, Power(PowerState.CRASHED, "panicked")),
        (State.PMSUSPENDED, 0, False, Power(PowerState.SUSPENDED, ASLEEP)),
        (State.NOSTATE, 0, False, Power(PowerState.NOSTATE, "unknown")),
    ],
)
def test_a_state_and_its_reason_are_told_in_our_words(
    state: State, reason: int, saved: bool, expected: Power
) -> None:
    assert power_of(state, reason, saved=saved) == expected


def test_a_state_of_a_later_libvirt_is_unknown_and_never_a_guess() -> None:
    assert power_of(42, 0).state is PowerState.UNKNOWN
    assert power_of(State.RUNNING, 99) == Power(PowerState.RUNNING, "unknown")


def told(*events: tuple[Event, int], last: Power | None, now: Power | None = None) -> list[Power]:
    """What a row of events tells, each after the other."""
    news = []
    for event, detail in events:
        if (power := news_of(event, detail, last, now)) is not None:
            news.append(power)
            last = power
    return news


def test_a_start_is_one_change_although_libvirt_says_resumed_before() -> None:
    assert told((Event.RESUMED, 0), (Event.STARTED, 0), last=OFF) == [BOOTED]


def test_a_restored_guest_is_one_change() -> None:
    restored = Power(PowerState.RUNNING, "restored")
    assert told((Event.STARTED, 2), (Event.RESUMED, 2), last=SUSPENDED) == [restored]


def test_a_guest_saved_to_disk_was_not_paused_on_the_way() -> None:
    events = (Event.SUSPENDED, 0), (Event.STOPPED, 4)
    assert told(*events, last=BOOTED, now=SUSPENDED) == [SUSPENDED]
    saving = power_of(State.PAUSED, 3)
    assert told((Event.SUSPENDED, 0), last=BOOTED, now=saving) == []


def test_a_paused_guest_that_is_saved_is_suspended() -> None:
    assert told((Event.STOPPED, 4), last=PAUSED, now=SUSPENDED) == [SUSPENDED]


def test_a_guest_saved_to_a_file_of_somebodys_own_is_off() -> None:
    elsewhere = Power(PowerState.SHUTDOWN, "saved")
    assert told((Event.STOPPED, 4), last=BOOTED, now=elsewhere) == [elsewhere]


def test_a_pause_and_its_end_are_told_even_when_looked_at_later() -> None:
    unpaused = Power(PowerState.RUNNING, "unpaused")
    events = (Event.SUSPENDED, 0), (Event.RESUMED, 0)
    assert told(*events, last=BOOTED, now=unpaused) == [PAUSED, unpaused]


def test_shutting_down_is_not_yet_shutdown() -> None:
    shutdown = Power(PowerState.SHUTDOWN, "shutdown")
    assert told((Event.SHUTDOWN, 1), last=BOOTED) == []
    assert told((Event.SHUTDOWN, 1), (Event.STOPPED, 0), last=BOOTED) == [shutdown]


def test_a_killed_qemu_is_a_crash() -> None:
    assert told((Event.STOPPED, 5), last=BOOTED) == [Power(PowerState.CRASHED, "crashed")]


def test_a_start_that_fails_is_no_crash_of_a_guest_that_never_ran() -> None:
    assert told((Event.STOPPED, 5), last=OFF) == []
    assert told((Event.STOPPED, 5), last=SUSPENDED) == []


def test_a_guest_asleep_by_itself_can_stop() -> None:
    asleep = Power(PowerState.SUSPENDED, ASLEEP)
    assert told((Event.PMSUSPENDED, 0), (Event.STOPPED, 1), last=BOOTED) == [asleep, OFF]


def test_a_panic_that_follows_to_a_stop_is_told_once() -> None:
    assert told((Event.CRASHED, 0), (Event.STOPPED, 2), last=BOOTED) == [Power(PowerState.CRASHED, "panicked")]


def test_a_crash_kernel_is_no_change() -> None:
    assert told((Event.CRASHED, 1), last=BOOTED) == []


def test_what_is_known_already_is_not_told_again() -> None:
    assert told((Event.SUSPENDED, 0), last=PAUSED, now=PAUSED) == []
    assert told((Event.RESUMED, 0), last=BOOTED) == []


def test_of_a_guest_nothing_is_known_about_everything_is_news() -> None:
    assert told((Event.STOPPED, 1), last=None) == [OFF]
    assert told((Event.RESUMED, 0), last=None) == [Power(PowerState.RUNNING, "unpaused")]


def test_defining_is_no_change_of_power_and_neither_is_what_a_later_libvirt_says() -> None:
    assert told((Event.DEFINED, 0), (Event.UNDEFINED, 0), last=None) == []
    assert news_of(77, 0, None, None) is None
    assert news_of(Event.STARTED, 77, None, None) is None


def test_the_first_heard_of_a_guest_has_the_reason_of_its_state() -> None:
    assert told((Event.RESUMED, 0), (Event.STARTED, 0), last=None, now=BOOTED) == [BOOTED]
