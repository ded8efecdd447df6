"""Child programs: bounded in time, CPU and memory, and never left behind.

    RUNNING ──exit──> Finished
       │
       └── deadline or cancel ──kill──> ended: Unavailable, or the cancellation
                                  └──> won't die (a hung disk): TimedOut

`qemu_img` and `filesystems` come here. The time is counted as the share `qemu_img`.
"""

from __future__ import annotations

import asyncio
import shutil
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent import telemetry
from agent.deadline import remaining
from agent.errors import NoCapacity, OperationFailed, TimedOut, Unavailable, Unsupported
from agent.hypervisor.storage.blocking import settled
from agent.hypervisor.storage.faults import says_full

SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# The C locale: what programs say is compared. Nothing else of our environment is handed down.
ENVIRONMENT = {"PATH": SEARCH_PATH, "LC_ALL": "C"}
Command = Sequence[str | Path]
KEPT_OUT = 1024 * 1024
KEPT_ERR = 4096
GRACE_S = 5.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What a program may take. A hostile image can make a parser eat time and memory, not this host's."""

    seconds: float = 60
    cpu_s: int = 30
    memory: int = 1024 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Finished:
    """How a program ended: exit code (negative: the signal), what it printed, the end of what it said."""

    code: int
    out: bytes
    err: str

    @property
    def complaint(self) -> str:
        """One line for an error message."""
        lines = [line for line in self.err.splitlines() if line.strip()]
        return lines[-1][:300] if lines else f"exit code {self.code}"


async def run(argv: Command, limits: Limits, on_output: Callable[[bytes], None] | None = None) -> Finished:
    """Run a program to its end. `on_output` sees its output as it comes.

    Raises Unsupported when the program isn't installed, Unavailable when it was stopped at the deadline,
    TimedOut when even that didn't end it.
    """
    seconds = remaining(limits.seconds)
    with telemetry.share("qemu_img"):
        process = await asyncio.create_subprocess_exec(
            *_limited(argv, limits), stdin=DEVNULL, stdout=PIPE, stderr=PIPE, env=ENVIRONMENT
        )
        try:
            async with asyncio.timeout(seconds):
                return await _to_its_end(process, on_output)
        except TimeoutError:
            raise Unavailable(f"{argv[0]} was stopped after {seconds:.1f} s") from None
        finally:
            if process.returncode is None:
                await settled(asyncio.ensure_future(_put_down(process, str(argv[0]))))


async def must(argv: Command, limits: Limits, doing: str) -> Finished:
    """As `run`; raises NoCapacity for a full disk, OperationFailed for any other failure."""
    finished = await run(argv, limits)
    if finished.code:
        raise failure(finished, doing)
    return finished


def failure(finished: Finished, doing: str) -> NoCapacity | OperationFailed:
    """The error for a program that failed."""
    if says_full(finished.err):
        return NoCapacity(f"{doing}: no space left", details={"resource": "disk"})
    return OperationFailed(f"{doing}: {finished.complaint}")


def _limited(argv: Command, limits: Limits) -> list[str | Path]:
    # prlimit replaces itself by the program, so the pid is the program's, and the limits are there before
    # its first instruction. A preexec_fn isn't safe in a process with threads.
    found = shutil.which(argv[0], path=SEARCH_PATH)
    if found is None:
        raise Unsupported(f"{argv[0]} isn't installed on this host", details={"feature": str(argv[0])})
    cpu = f"--cpu={limits.cpu_s}:{limits.cpu_s + 1}"
    return ["prlimit", f"--as={limits.memory}", cpu, "--core=0", "--", found, *argv[1:]]


async def _to_its_end(process: Process, on_output: Callable[[bytes], None] | None) -> Finished:
    assert process.stdout is not None  # noqa: S101 - asked for with PIPE
    assert process.stderr is not None  # noqa: S101
    async with asyncio.TaskGroup() as group:
        out = group.create_task(_first(process.stdout, on_output))
        err = group.create_task(_last(process.stderr))
    return Finished(await process.wait(), out.result(), err.result().decode(errors="replace"))


async def _first(stream: asyncio.StreamReader, on_output: Callable[[bytes], None] | None) -> bytes:
    kept = bytearray()
    while chunk := await stream.read(65536):
        kept += chunk[: KEPT_OUT - len(kept)]
        if on_output is not None:
            on_output(chunk)
    return bytes(kept)


async def _last(stream: asyncio.StreamReader) -> bytes:
    # Bounded: a damaged image can make qemu-img print a line for each of its clusters.
    kept = b""
    while chunk := await stream.read(65536):
        kept = (kept + chunk)[-KEPT_ERR:]
    return kept


async def _put_down(process: Process, name: str) -> None:
    process.kill()
    try:
        async with asyncio.timeout(GRACE_S):
            await process.wait()
    except TimeoutError:
        raise TimedOut(f"{name} can't be stopped: its disk hangs") from None
