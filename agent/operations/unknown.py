"""What becomes of an operation whose outcome stayed unknown: asked by `turn` before the next change is begun.

    settled? ──no──> the next change waits, then is refused
       │ yes
    there?   ──yes─> left as it is: its caller was told to read the state, and can see it
       │ no
    undone: nobody could see what is left of it

"There" is said by the operation's own admission: what it would take as new isn't there. Only an operation that
nothing has followed is judged: later ones knew what they found, and what is gone since was taken away on purpose.
"""

from __future__ import annotations

from uuid import UUID

from agent.admission import Accept
from agent.hypervisor.ports import DomainView
from agent.journal import Journal
from agent.journal.records import OperationRecord, Status
from agent.operations.base import Operation, State

KNOWN_AT_ONCE = 10_000
"""Unknown operations that are remembered at the start."""


class Unknown:
    """Instances with an operation that may have to be judged: the journal has which, this spares asking it."""

    def __init__(self) -> None:
        self.instances: set[UUID] = set()

    async def load(self, journal: Journal) -> None:
        records = await journal.operations(statuses=[Status.UNKNOWN], limit=KNOWN_AT_ONCE)
        self.instances |= {record.instance_uuid for record in records if record.instance_uuid is not None}

    async def latest(self, journal: Journal, uuid: UUID) -> OperationRecord | None:
        """The last of an instance; None when there is none."""
        if uuid not in self.instances:
            return None
        found = await journal.operations(instance_uuid=uuid, statuses=[Status.UNKNOWN], limit=1)
        return found[0] if found else None


def is_lacking(operation: Operation[State], state: State, view: DomainView | None, generation: int) -> bool:
    """Whether it is the last thing that happened to its instance, is there no more than if it had never been
    asked for, and can be undone. `generation` is the instance's as the journal has it now."""
    if not operation.can_be_undone or state.generation != generation:
        return False
    return isinstance(operation.admit(state, view), Accept)
