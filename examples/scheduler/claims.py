"""Where guests were sent, written down before they are sent: the one thing that no host can tell later.

    {"uuid": ..., "attempt": 1, "host": "h7", "not_after": "..."}    sent, or about to be
    {"uuid": ..., "attempt": 1, "ended": "placed"}                   it runs there
    {"uuid": ..., "attempt": 1, "ended": "gone"}                     nothing of it will be there, or is any more

A scheduler that starts again sends what isn't ended once more, under the same identity, to the same host: it may
lie in that host's queue still, and placing it elsewhere would make two of it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel

Ended = Literal["placed", "gone"]


class _Line(BaseModel):
    uuid: UUID
    attempt: int
    host: str | None = None
    not_after: AwareDatetime | None = None
    ended: Ended | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """One attempt to place a guest."""

    uuid: UUID
    attempt: int
    host: str
    not_after: datetime

    @property
    def identity(self) -> str:
        """The same each time this attempt is sent."""
        return f"{self.uuid}-{self.attempt}"


class Claims:
    """The file, and what it says. One scheduler at a time has it."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a+b")
        self.open: dict[UUID, Sent] = {}
        """Attempts of which the end isn't known."""
        self.placed: dict[UUID, Sent] = {}
        """Attempts that succeeded."""
        self._attempts: dict[UUID, int] = {}
        self._read()

    def begin(self, uuid: UUID, host: str, not_after: datetime) -> Sent:
        """On the disk when this returns."""
        sent = Sent(uuid, self._attempts.get(uuid, 0) + 1, host, not_after)
        self._write(_Line(uuid=uuid, attempt=sent.attempt, host=host, not_after=not_after))
        self._note(sent)
        return sent

    def end(self, sent: Sent, how: Ended) -> None:
        self._write(_Line(uuid=sent.uuid, attempt=sent.attempt, ended=how))
        self._note_end(sent, how)

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self) -> None:
        self._file.seek(0)
        content = self._file.read()
        whole, _, torn = content.rpartition(b"\n")
        if torn:
            # A kill in the middle of a line: what it told of wasn't sent.
            self._file.truncate(len(content) - len(torn))
        for text in whole.splitlines():
            line = _Line.model_validate_json(text)
            if line.ended is not None:
                self._note_end(self.open.get(line.uuid) or self.placed[line.uuid], line.ended)
            elif line.host is not None and line.not_after is not None:
                self._note(Sent(line.uuid, line.attempt, line.host, line.not_after))

    def _write(self, line: _Line) -> None:
        self._file.write(line.model_dump_json(exclude_none=True).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def _note(self, sent: Sent) -> None:
        self._attempts[sent.uuid] = sent.attempt
        self.open[sent.uuid] = sent
        self.placed.pop(sent.uuid, None)

    def _note_end(self, sent: Sent, how: Ended) -> None:
        self.open.pop(sent.uuid, None)
        self.placed.pop(sent.uuid, None)
        if how == "placed":
            self.placed[sent.uuid] = sent
