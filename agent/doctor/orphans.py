"""Orphans: what carries our mark and no row of the journal answers for. Pure.

    an operation on its instance is unfinished, stuck or unknown      that operation's
    its instance has a domain of ours, or a domain uses it            that guest's
    its instance's last word says that nothing is left                an orphan
    the journal knows nothing of its instance                         an orphan, but for domains (below)

A domain is a guest, and its loss is somebody's, so it is an orphan in two cases only: the last word on it is a
destroy that was done or a spawn that was undone; or no agent runs and a journal that has seen this host knows
nothing of it. An agent takes up whatever guest it finds at its next listing, and after the loss of the journal it
finds all of them so: a journal that is new makes no domain an orphan, nor does one whose agent is running.

A directory without a domain may hold all that is left of somebody's data: `why` says what the journal heard last.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from agent.hypervisor.remains import Inventory, Kind, Thing
from agent.journal.reading import Knowledge, Word


@dataclass(frozen=True, slots=True)
class Orphan:
    """`why` it is one."""

    thing: Thing
    why: str

    @property
    def mend(self) -> str:
        return f"agent-cli doctor --remove {self.thing.name}"


@dataclass(frozen=True, slots=True)
class Ground:
    """What is decided from. `running`: an agent has the state directory."""

    inventory: Inventory
    knowledge: Knowledge
    running: bool


def orphans(ground: Ground) -> tuple[Orphan, ...]:
    judged = ((thing, reason(thing, ground)) for thing in ground.inventory.things)
    return tuple(Orphan(thing, why) for thing, why in judged if why is not None)


def reason(thing: Thing, ground: Ground) -> str | None:
    """Why it is an orphan; None when it isn't."""
    if thing.instance in ground.knowledge.busy:
        return None
    return _RULES[thing.kind](thing, ground)


def _domain(thing: Thing, ground: Ground) -> str | None:
    knowledge = ground.knowledge
    word = knowledge.last.get(thing.instance)
    if word is not None:
        return f"{_told(word)}, and the domain is there" if word.is_gone else None
    if thing.instance in knowledge.met or knowledge.is_new or ground.running:
        return None
    return "the journal knows nothing of it; an agent that starts takes it up as a guest of its own"


def _directory(thing: Thing, ground: Ground) -> str | None:
    if thing.path is None or ground.inventory.uses(thing.path):
        return None
    gone_aside = thing.id != str(thing.instance)
    if gone_aside:
        return "its removal was begun and not finished"
    return (
        None if thing.instance in ground.inventory.guests else f"no domain, and {_history(thing.instance, ground)}"
    )


def _file(thing: Thing, ground: Ground) -> str | None:
    """In the directory of a guest; without the guest it goes with its directory."""
    if thing.path is None or ground.inventory.uses(thing.path) or thing.instance not in ground.inventory.guests:
        return None
    return "half made, and no operation is at it"


def _tap(thing: Thing, ground: Ground) -> str | None:
    return (
        None if thing.id in ground.inventory.taps else f"no domain uses it, and {_history(thing.instance, ground)}"
    )


def _secret(thing: Thing, ground: Ground) -> str | None:
    """Whose instance has a domain may be needed at its next start."""
    return (
        None if thing.instance in ground.inventory.guests else f"no domain, and {_history(thing.instance, ground)}"
    )


_RULES: dict[Kind, Callable[[Thing, Ground], str | None]] = {
    Kind.DOMAIN: _domain,
    Kind.DIRECTORY: _directory,
    Kind.FILE: _file,
    Kind.TAP: _tap,
    Kind.SECRET: _secret,
}


def _history(instance: UUID, ground: Ground) -> str:
    word = ground.knowledge.last.get(instance)
    if word is not None:
        kept = " (it may have been kept on purpose: delete_disks off)" if word.method == "destroy" else ""
        return f"{_told(word)}{kept}"
    if instance in ground.knowledge.met:
        return f"all that the journal remembers of instance {instance} is that it was here"
    return f"the journal knows nothing of instance {instance}"


def _told(word: Word) -> str:
    return f"the journal's last word is {word.method} {word.status.value} at {word.at:%Y-%m-%d %H:%M:%SZ}"
