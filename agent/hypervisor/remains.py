"""What there is on this host that an agent has made: the port that `agent-cli doctor` looks through.

An inventory is taken first and the journal is read after it. Whatever is made has its operation in the journal
before, so nothing that is being made looks as if nobody knew it.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol
from uuid import UUID

from agent.spec import Frozen


class Kind(enum.StrEnum):
    """`directory`: an instance's. `file`: one half made, in the directory of an instance that is there."""

    DOMAIN = "domain"
    DIRECTORY = "directory"
    FILE = "file"
    TAP = "tap"
    SECRET = "secret"  # noqa: S105 - libvirt's kind of object


class Thing(Frozen):
    """One thing that carries our mark. `id` is unique among its kind."""

    kind: Kind
    id: str
    instance: UUID
    path: Path | None = None

    @property
    def name(self) -> str:
        return f"{self.kind}:{self.id}"


class Inventory(Frozen):
    """`guests`: instances of ours that have a domain. `paths` and `taps`: what any domain of the host uses,
    whoever's it is."""

    things: tuple[Thing, ...]
    guests: frozenset[UUID]
    paths: frozenset[Path] = frozenset()
    taps: frozenset[str] = frozenset()

    def uses(self, path: Path) -> bool:
        """Whether a domain uses it, or something in it."""
        return any(used == path or path in used.parents for used in self.paths)


Still = Callable[[], Awaitable[bool]]
"""Whether a thing is nobody's, looked at anew."""


class Remains(Protocol):
    async def inventory(self) -> Inventory:
        """Raises Unavailable, TimedOut."""
        ...

    async def remove(self, thing: Thing, still: Still) -> bool:
        """Remove it, if it is ours and `still` says so as late as can be; whether it did. Raises Unavailable,
        TimedOut, OperationFailed."""
        ...

    async def close(self) -> None: ...
