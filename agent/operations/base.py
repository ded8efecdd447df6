"""What every operation has: a first state, a saga, a say in whether it is taken, a time it may need.

One file per verb holds, in this order, the saga's state, its steps and its table. `operations.TABLE` lists
them; `operations.runner` runs them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

from agent.admission import Decision, Verb, admit
from agent.hypervisor.ports import DomainView, Hypervisor
from agent.saga import Saga
from agent.spec import Frozen


class State(Frozen):
    """The part of every state that the runner fills in."""

    instance_uuid: UUID
    generation: int = 0


@dataclass(frozen=True, slots=True)
class Env:
    """What the steps may use."""

    hypervisor: Hypervisor
    progress: Callable[[str, float], None]
    operation_id: UUID
    request_id: str | None


S = TypeVar("S", bound=State)


@dataclass(frozen=True, slots=True)
class Operation(Generic[S]):
    """`admit` sees the first state and the domain as it is now (None: absent) when its turn has come."""

    saga: Saga[Env, S]
    admit: Callable[[S, DomainView | None], Decision]
    attached: Callable[[S], str | None] = lambda _: None
    """The id that the answer names as attached."""
    preempts: bool = False
    ends_earlier: Callable[[S], bool] = lambda _: False
    """Whether nothing is left, once it is done, that an earlier stuck or unknown operation of its instance could
    have made: those are undone with it."""
    timeout_s: Callable[[S, float], float] = lambda _, default: default

    @property
    def method(self) -> str:
        return self.saga.name

    @property
    def can_be_undone(self) -> bool:
        """False for those that only go forward: what they did stays, whatever ends them."""
        return any(step.undo is not None for step in self.saga.steps)


def by_state(verb: Verb) -> Callable[[Any, DomainView | None], Decision]:
    """Admission by the table of `agent.admission` alone."""

    def decide(_: Any, view: DomainView | None) -> Decision:
        return admit(verb, view.power_state if view else None)

    return decide
