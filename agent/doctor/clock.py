"""The clock: kept in time by somebody, and never behind what was written already?

`not_after` and retention go by it. Of the broker's clock nothing can be seen: AMQP tells no time. But what the
journal has written lies in the past, unless the clock was set back.
"""

from __future__ import annotations

import ctypes
import struct
from datetime import UTC, datetime, timedelta

from agent.doctor.finding import Finding, Findings, broken, ok, unchecked, warning
from agent.hypervisor.storage.blocking import look
from agent.journal.reading import Reader, Unreadable
from agent.settings import Settings

TIME_ERROR = 5  # adjtimex(2): the clock isn't synchronised
TIMEX_BYTES = 256  # struct timex is smaller
STATUS_AT = 40  # after modes, offset, freq, maxerror, esterror on 64-bit Linux
MAXERROR_AT = 24
JITTER = timedelta(seconds=2)


async def check(settings: Settings) -> Findings:
    path = settings.state_dir / "journal.db"

    def newest() -> datetime | None:
        try:
            with Reader.open(path) as journal:
                return journal.state().newest
        except (OSError, Unreadable):  # the check of the journal says what is wrong with it
            return None

    written = await look(newest, "reading the journal's newest time")
    return [synchronised(*kernel()), *judge(datetime.now(UTC), written)]


def kernel() -> tuple[int, int]:
    """What adjtimex(2) returns when it changes nothing, and the greatest error in microseconds."""
    buffer = ctypes.create_string_buffer(TIMEX_BYTES)
    state = ctypes.CDLL(None, use_errno=True).adjtimex(buffer)
    (maxerror,) = struct.unpack_from("q", buffer.raw, MAXERROR_AT)
    return state, maxerror


def synchronised(state: int, maxerror: int) -> Finding:
    if state < 0:
        return unchecked("whether the clock is synchronised: the kernel doesn't say")
    if state == TIME_ERROR:
        mend = "run chrony, systemd-timesyncd or another, and let it reach its servers"
        return warning("the clock isn't synchronised: not_after is judged by a clock that may be wrong", mend)
    return ok(f"synchronised, off by {maxerror / 1e6:.3f} s at most")


def judge(now: datetime, written: datetime | None) -> list[Finding]:
    """`written`: the newest time in the journal."""
    if written is None or written <= now + JITTER:
        return []
    says = f"the clock is {(written - now).total_seconds():.0f} s behind what the journal has written already"
    return [broken(says, "set it right: deadlines and times of events are wrong until then")]
