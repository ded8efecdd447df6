"""The journal: is the file sound, is it this agent's, and what in it waits for somebody?

Read while the agent runs or doesn't. The integrity check reads all of the file, so it is the last to be made: what
else there is to say doesn't wait for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from agent.doctor.finding import Finding, Findings, broken, ok, unchecked, warning
from agent.hypervisor.storage.blocking import look
from agent.hypervisor.storage.capacity import MIB
from agent.journal import migrations
from agent.journal.reading import Damaged, Reader, State, TooLong, Unreadable
from agent.journal.refusal import StartRefused
from agent.journal.sealing import KeyFile
from agent.settings import Settings

READ_S = 20.0
OLD = timedelta(hours=1)
"""An operation that isn't finished by then is worth a look."""
RESTORE = "restore the key that it was written with: without it no agent starts on this journal"
SET_ASIDE = "the agent's next start sets it aside and begins a new one; the page on promises says what is lost"


async def check(settings: Settings) -> Findings:
    return await look(lambda: list(examine(settings)), "reading the journal", seconds=READ_S + 5)


def examine(settings: Settings, seconds: float = READ_S) -> Iterator[Finding]:
    """Blocking."""
    path = settings.state_dir / "journal.db"
    yield from _set_aside(path)
    if path.exists() and not path.is_file():
        yield broken(f"{path} is no file", "restore the journal that was here, or remove it: the agent makes one")
        return
    try:
        with Reader.open(path, seconds) as journal:
            schema = journal.schema()
            newest = max(migrations.known())
            if schema > newest:
                says = f"{path} has schema {schema}, this version knows schemas up to {newest}"
                yield broken(says, "install the version that wrote it, or one after it")
                return
            if (fault := journal.fault()) is not None:
                yield broken(f"{path} is damaged: {fault}", SET_ASIDE)
                return
            if schema < newest:
                yield ok(f"{path} has schema {schema}; the agent's next start brings it to {newest}")
                return
            yield from _state(path, journal.state(), settings)
            yield _soundness(path, journal)
    except (FileNotFoundError, NotADirectoryError):
        yield warning(f"there is no journal at {path}", "start the agent: it makes one")
    except Damaged as error:
        yield broken(str(error), SET_ASIDE)
    except TooLong as error:
        yield unchecked(str(error), "try again when the host has less to do")
    except Unreadable as error:
        yield unchecked(str(error), "run this as root or as the agent's user")


def _soundness(path: Path, journal: Reader) -> Finding:
    wrong = journal.check()
    if wrong is None:
        return ok(f"{path}: sound, {sum(_sizes(path)) // MIB} MiB")
    return broken(f"{path} is damaged: {wrong}", SET_ASIDE)


def _sizes(path: Path) -> Iterator[int]:
    for part in (path, path.with_name(f"{path.name}-wal")):
        if part.exists():
            yield part.stat().st_size


def _set_aside(path: Path) -> Iterator[Finding]:
    for old in sorted(path.parent.glob(f"{path.name}.corrupt-*")):
        if not old.name.endswith(("-wal", "-shm")):
            says = f"{old} was damaged and set aside"
            yield warning(says, "see what damages files here (disk, memory); remove it when nobody needs it")


def _state(path: Path, state: State, settings: Settings) -> Iterator[Finding]:
    if state.host is not None and state.host != settings.host:
        says = f"{path} is the journal of host {state.host!r}, the settings say {settings.host!r}"
        yield broken(says, "set the host name back, or give this agent a state_dir of its own")
    yield from _key(path, state, settings)
    for word in state.waiting:
        says = f"operation {word.id} ({word.method}) is {word.status.value} since {word.at:%Y-%m-%d %H:%M:%SZ}"
        mend = f"look: agent-cli operations {word.id}; then agent-cli send retry_operation or abandon_operation"
        yield warning(says, mend)
    yield from _late(state)
    if state.unsent >= settings.journal.outbox_limit:
        says = f"{state.unsent} answers and events wait for the broker: changes are refused"
        yield broken(says, "bring the broker back, and the agent")


def _key(path: Path, state: State, settings: Settings) -> Iterator[Finding]:
    """Without the one that it was written with no agent starts on it."""
    given, file = settings.journal.key, path.with_name("journal.key")
    try:
        key = KeyFile.load(file) if given is None else KeyFile.from_bytes(given.get_secret_value().encode())
    except StartRefused as refusal:
        yield broken(str(refusal), RESTORE)
    except FileNotFoundError:
        yield broken(f"the journal's key {file} isn't there", RESTORE)
    except PermissionError as error:
        yield unchecked(f"the journal's key {file}: {error.strerror}", "run this as root or as the agent's user")
    else:
        if state.key_check not in (None, key.check):
            yield broken(f"{path} was written with another key than this", RESTORE)


def _late(state: State) -> Iterator[Finding]:
    oldest = state.oldest_unfinished
    if oldest is not None and datetime.now(UTC) - oldest > OLD:
        says = f"{state.unfinished} operations unfinished, the oldest accepted at {oldest:%Y-%m-%d %H:%M:%SZ}"
        yield warning(says, "see what it waits for: agent-cli operations")
