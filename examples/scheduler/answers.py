"""What an answer to a spawn means for the one who placed it. Pure.

The table is the contract's: each error class says what its caller does next. What isn't in it may have done
anything, and is treated as unknown.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

from agent.errors import (
    AgentError,
    Busy,
    Cancelled,
    Conflict,
    Expired,
    InvalidRequest,
    NoCapacity,
    NotFound,
    OperationFailed,
    OperationStuck,
    Unavailable,
    Unsupported,
)
from agent.rpc.client import NoAnswer, Unroutable


class Next(enum.Enum):
    ELSEWHERE = "nothing of it is there: another host"
    SOON = "nothing of it is there: the same host will do, a little later"
    ASK_AGAIN = "no answer came: the same request again, it is done once"
    DESTROY = "nobody knows: elsewhere only when a destroy there has succeeded"
    GIVE_UP = "no host would do it, or a person has to look"


NEXT: Mapping[type[AgentError], Next] = {
    NoCapacity: Next.ELSEWHERE,
    Unsupported: Next.ELSEWHERE,
    Unavailable: Next.ELSEWHERE,  # an answer: the spawn was refused, or undone
    Unroutable: Next.ELSEWHERE,
    OperationFailed: Next.ELSEWHERE,
    NotFound: Next.ELSEWHERE,  # an image or a bridge
    Busy: Next.SOON,
    Expired: Next.SOON,
    Cancelled: Next.SOON,
    NoAnswer: Next.ASK_AGAIN,
    InvalidRequest: Next.GIVE_UP,
    Conflict: Next.GIVE_UP,  # the uuid is there with another spec
    OperationStuck: Next.GIVE_UP,
}

AGAIN: Mapping[type[AgentError], Next] = {
    **NEXT,
    # Either may be about the repeat alone: the host's journal is full now, its queue is gone now.
    Unavailable: Next.DESTROY,
    Unroutable: Next.ASK_AGAIN,
}
"""To a request that may have reached the host before."""


def next_after(error: AgentError, *, again: bool = False) -> Next:
    """By the error's class, or the nearest above it that the table has. `again`: it was sent before."""
    table = AGAIN if again else NEXT
    return next((table[kind] for kind in type(error).__mro__ if kind in table), Next.DESTROY)


def host_is_resting(error: AgentError) -> bool:
    """Whether it says something of the host, and not of this guest."""
    return isinstance(error, Unavailable)
