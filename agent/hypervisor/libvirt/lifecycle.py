"""libvirt's states and events in the words of the contract: pure tables.

`views` asks `power_of` what a domain's state means, `watch` asks `news_of` what an event means. Both
speak of a reason in libvirt's own words, as `virsh domstate --reason` prints them, so that what was read and
what was heard compare equal.

libvirt says more than happened, and in an order of its own. What the rules of `news_of` leave out:

    it says                                  and it means
    RESUMED, STARTED                         started; the first comes before the second
    STARTED restored, RESUMED                restored
    SUSPENDED, STOPPED saved                 saved to disk: the pause is how libvirt does it
    SHUTDOWN, STOPPED                        powered off: QEMU still runs at the first
    REBOOT, REBOOT, REBOOT                   one reboot or reset; no change of power at all
    STOPPED failed                           QEMU died under the guest

The numbers are libvirt's ABI (https://libvirt.org/html/libvirt-libvirt-domain.html); a test compares these
tables with the library's own constants.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from agent.spec import PowerState


class State(enum.IntEnum):
    """virDomainState"""

    NOSTATE = 0
    RUNNING = 1
    BLOCKED = 2
    PAUSED = 3
    SHUTDOWN = 4
    SHUTOFF = 5
    CRASHED = 6
    PMSUSPENDED = 7


class Event(enum.IntEnum):
    """virDomainEventType"""

    DEFINED = 0
    UNDEFINED = 1
    STARTED = 2
    SUSPENDED = 3
    RESUMED = 4
    STOPPED = 5
    SHUTDOWN = 6
    PMSUSPENDED = 7
    CRASHED = 8


@dataclass(frozen=True, slots=True)
class Power:
    """A power state and libvirt's word for how it came to be."""

    state: PowerState
    reason: str

    @property
    def on(self) -> bool:
        """Whether there is a guest that runs or could go on at once."""
        return self.state in (PowerState.RUNNING, PowerState.PAUSED) or self.reason == ASLEEP


ASLEEP = "pmsuspended"
SAVED = "saved"
STARTING = "starting up"

STATES: dict[State, PowerState] = {
    State.NOSTATE: PowerState.NOSTATE,
    State.RUNNING: PowerState.RUNNING,
    State.BLOCKED: PowerState.RUNNING,
    State.PAUSED: PowerState.PAUSED,
    State.SHUTDOWN: PowerState.RUNNING,  # being shut down: QEMU is still there
    State.SHUTOFF: PowerState.SHUTDOWN,
    State.CRASHED: PowerState.CRASHED,
    State.PMSUSPENDED: PowerState.SUSPENDED,
}

# By virDomain*Reason, from 0.
REASONS: dict[State, tuple[str, ...]] = {
    State.NOSTATE: ("unknown",),
    State.RUNNING: (
        "unknown",
        "booted",
        "migrated",
        "restored",
        "from snapshot",
        "unpaused",
        "migration canceled",
        "save canceled",
        "event wakeup",
        "crashed",
        "post-copy",
        "post-copy failed",
    ),
    State.BLOCKED: ("unknown",),
    State.PAUSED: (
        "unknown",
        "user",
        "migrating",
        "saving",
        "dumping",
        "I/O error",
        "watchdog",
        "from snapshot",
        "shutting down",
        "creating snapshot",
        "crashed",
        STARTING,
        "post-copy",
        "post-copy failed",
    ),
    State.SHUTDOWN: ("unknown", "user"),
    State.SHUTOFF: (
        "unknown",
        "shutdown",
        "destroyed",
        "crashed",
        "migrated",
        SAVED,
        "failed",
        "from snapshot",
        "daemon",
    ),
    State.CRASHED: ("unknown", "panicked"),
    State.PMSUSPENDED: (ASLEEP,),
}

PASSING = frozenset({"saving", "dumping", "creating snapshot", "starting up", "shutting down"})
"""Reasons of a pause that libvirt makes on its way to something else."""


def power_of(state: int, reason: int, *, saved: bool = False) -> Power:
    """What `virDomainGetState` says. `saved`: a managed save image is kept, from which it will start."""
    try:
        known = State(state)
    except ValueError:
        return Power(PowerState.UNKNOWN, "unknown")
    words = REASONS[known]
    word = words[reason] if 0 <= reason < len(words) else "unknown"
    if known is State.SHUTOFF:
        if saved:
            return Power(PowerState.SUSPENDED, SAVED)
        if word == "crashed":
            return Power(PowerState.CRASHED, word)
    return Power(STATES[known], word)


_RUNNING, _PAUSED = PowerState.RUNNING, PowerState.PAUSED

# By virDomainEvent*DetailType. None: no change of power.
NEWS: dict[tuple[Event, int], Power | None] = {
    (Event.STARTED, 0): Power(_RUNNING, "booted"),
    (Event.STARTED, 1): Power(_RUNNING, "migrated"),
    (Event.STARTED, 2): Power(_RUNNING, "restored"),
    (Event.STARTED, 3): Power(_RUNNING, "from snapshot"),
    (Event.STARTED, 4): Power(_RUNNING, "event wakeup"),
    (Event.SUSPENDED, 0): Power(_PAUSED, "user"),
    (Event.SUSPENDED, 1): Power(_PAUSED, "migrating"),
    (Event.SUSPENDED, 2): Power(_PAUSED, "I/O error"),
    (Event.SUSPENDED, 3): Power(_PAUSED, "watchdog"),
    (Event.SUSPENDED, 4): Power(_PAUSED, "migrating"),  # restored as paused; what its state says then
    (Event.SUSPENDED, 5): Power(_PAUSED, "from snapshot"),
    (Event.SUSPENDED, 6): Power(_PAUSED, "unknown"),
    (Event.SUSPENDED, 7): Power(_PAUSED, "post-copy"),
    (Event.SUSPENDED, 8): Power(_PAUSED, "post-copy failed"),
    (Event.RESUMED, 0): Power(_RUNNING, "unpaused"),
    (Event.RESUMED, 1): Power(_RUNNING, "migrated"),
    (Event.RESUMED, 2): Power(_RUNNING, "from snapshot"),
    (Event.RESUMED, 3): Power(_RUNNING, "post-copy"),
    (Event.RESUMED, 4): Power(_RUNNING, "post-copy failed"),
    (Event.STOPPED, 0): Power(PowerState.SHUTDOWN, "shutdown"),
    (Event.STOPPED, 1): Power(PowerState.SHUTDOWN, "destroyed"),
    (Event.STOPPED, 2): Power(PowerState.CRASHED, "crashed"),
    (Event.STOPPED, 3): Power(PowerState.SHUTDOWN, "migrated"),
    (Event.STOPPED, 4): Power(PowerState.SUSPENDED, SAVED),
    (Event.STOPPED, 5): Power(PowerState.CRASHED, "crashed"),
    (Event.STOPPED, 6): Power(PowerState.SHUTDOWN, "from snapshot"),
    (Event.PMSUSPENDED, 0): Power(PowerState.SUSPENDED, ASLEEP),
    (Event.PMSUSPENDED, 1): Power(PowerState.SUSPENDED, ASLEEP),
    (Event.CRASHED, 0): Power(PowerState.CRASHED, "panicked"),
    (Event.CRASHED, 1): None,  # its crash kernel took over: it goes on
    (Event.SHUTDOWN, 0): None,
    (Event.SHUTDOWN, 1): None,
    (Event.SHUTDOWN, 2): None,
}

LEADS_TO_READ = frozenset({Event.SUSPENDED, Event.STOPPED})
"""Events whose meaning depends on what the domain is by now, also when it was known before."""


def news_of(event: int, detail: int, last: Power | None, now: Power | None) -> Power | None:
    """What a lifecycle event tells that wasn't known, if anything.

    `last` is what was known before (None: nothing). `now` is what the domain is when the event is looked at,
    later than when it happened; None when it is gone, wasn't asked for, or couldn't be read.
    """
    try:
        said = NEWS.get((Event(event), detail))
    except ValueError:
        return None
    if said is None or (last is not None and not _follows(Event(event), said, last)):
        return None
    if now is None:
        return said
    if _is_on_its_way(said, now):
        return None
    # Saved to a file of somebody's own: nothing is kept to start from.
    saved_elsewhere = said.reason == SAVED == now.reason
    # With nothing to compare with, the event may be half of a pair; the state has the whole pair's reason.
    first_heard = last is None and said.state is now.state
    return now if saved_elsewhere or first_heard else said


def _follows(event: Event, said: Power, last: Power) -> bool:
    """Whether the event can come after `last` and changes it."""
    match event:
        case Event.STOPPED:
            return last.on
        case Event.RESUMED:
            return last.state is not PowerState.RUNNING and last.on
    return said.state is not last.state


def _is_on_its_way(said: Power, now: Power) -> bool:
    """A pause that is part of a save, a snapshot, a start."""
    if said.state is not PowerState.PAUSED:
        return False
    return now.reason in PASSING or now.reason == SAVED
