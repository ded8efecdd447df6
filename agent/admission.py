"""Whether an instance, in the state it is in, takes a request. Pure: no clock, no I/O, no locks.

    verb x state -> Accept      go on
                  | AlreadySo   nothing to do, and that is success: a repeated request is harmless
                  | Deny        `conflict`, with the reason and what to do about it

The table has a row for each verb; whatever isn't in a row is denied. `None` stands for an absent instance.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from agent.spec import PowerState

RUNNING, PAUSED, SUSPENDED = PowerState.RUNNING, PowerState.PAUSED, PowerState.SUSPENDED
OFF = frozenset({PowerState.SHUTDOWN, PowerState.CRASHED, PowerState.NOSTATE})


class Verb(enum.StrEnum):
    DESTROY = "destroy"
    START = "start"
    STOP = "stop"
    REBOOT_SOFT = "reboot (soft)"
    REBOOT_HARD = "reboot (hard)"
    PAUSE = "pause"
    UNPAUSE = "unpause"
    SUSPEND = "suspend"
    RESUME = "resume"
    ATTACH = "attach"
    DETACH = "detach"


@dataclass(frozen=True, slots=True)
class Accept: ...


@dataclass(frozen=True, slots=True)
class AlreadySo: ...


@dataclass(frozen=True, slots=True)
class Deny:
    reason: str
    absent: bool = False


Decision = Accept | AlreadySo | Deny


@dataclass(frozen=True, slots=True)
class Row:
    accept: frozenset[PowerState]
    already: frozenset[PowerState] = frozenset()
    mend: str = ""


TABLE: dict[Verb, Row] = {
    Verb.START: Row(OFF | {SUSPENDED}, frozenset({RUNNING}), "unpause it"),
    Verb.STOP: Row(frozenset({RUNNING, PAUSED}), OFF, "resume it first, or destroy it"),
    Verb.REBOOT_SOFT: Row(frozenset({RUNNING}), mend="start, unpause or resume it"),
    Verb.REBOOT_HARD: Row(frozenset({RUNNING, PAUSED}), mend="start or resume it"),
    Verb.PAUSE: Row(frozenset({RUNNING}), frozenset({PAUSED}), "start or resume it"),
    Verb.UNPAUSE: Row(frozenset({PAUSED}), frozenset({RUNNING}), "start or resume it"),
    Verb.SUSPEND: Row(frozenset({RUNNING, PAUSED}), frozenset({SUSPENDED}), "start it"),
    Verb.RESUME: Row(frozenset({SUSPENDED}), frozenset({RUNNING}), "start or unpause it"),
    Verb.ATTACH: Row(OFF | {RUNNING, PAUSED}, mend="resume it first: its saved memory has the devices of then"),
    Verb.DETACH: Row(OFF | {RUNNING, PAUSED}, mend="resume it first: its saved memory has the devices of then"),
}


def admit(verb: Verb, state: PowerState | None) -> Decision:
    """`state` is None for an instance that isn't here."""
    if verb is Verb.DESTROY:
        return Accept()  # also when absent: what a lost domain left behind is removed
    if state is None:
        return Deny("the instance isn't on this host", absent=True)
    row = TABLE[verb]
    if state in row.already:
        return AlreadySo()
    if state in row.accept:
        return Accept()
    return Deny(f"the instance is {state.value}, which {verb.value} doesn't take; {row.mend}")
