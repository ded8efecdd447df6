"""One agent as a process: signals, the event loop, the exit status. `__main__` calls `run_daemon`."""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import os
import signal
import sys
import threading
import time

import structlog
import uvloop

from agent.journal.refusal import StartRefused
from agent.logs import configure, secrets_in
from agent.service import Service, Worn
from agent.settings import Settings

log = structlog.get_logger(__name__)

LEAVE_S = 80.0
"""Seconds from SIGTERM to the process's end, whatever hangs; less than what the unit's TimeoutStopSec gives it."""
DEATH_S = 10.0
"""Seconds that an agent of which a part died has to put the rest away."""
DEAD = 70
"""The exit status then."""
COLLECTED = (10_000, 20, 20)
"""How many new objects make the garbage collector look for rings among them, and how many of its looks at the
younger ones a look at the older ones. Python's first number is 700, and that many are made several times for each
cheap operation; nearly all go without a collector."""


async def serve(settings: Settings) -> None:
    """Run one agent until SIGTERM or SIGINT."""
    service = Service(
        settings,
        on_stop=lambda: leave_after(LEAVE_S, DEAD if service.worn else 0),
        on_loaded=keep_what_is_there,
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, service.stop)
    began = time.monotonic()
    try:
        await service.run()
    except Worn:
        raise
    except Exception:
        leave_after(DEATH_S, DEAD)  # what killed it may hang in a thread, and its manager starts another one
        raise
    finally:
        log.info("agent.gone", up_s=round(time.monotonic() - began, 1))


def keep_what_is_there() -> None:
    """What is loaded by now stays until the end. Walking through all of it, as each full garbage collection would,
    stops every thread for the best part of a tenth of a second."""
    gc.collect()
    gc.freeze()
    log.info("agent.settled", objects_kept=gc.get_freeze_count())


def leave_after(seconds: float, status: int = 0) -> None:
    """End the process then, if it is still there: a thread in a system call that never returns is waited for by
    nobody. All that is under way is in the journal, as after a kill."""
    watch = threading.Timer(seconds, _leave, [status])
    watch.daemon = True
    watch.start()


def _leave(status: int) -> None:
    log.error(
        "agent.left", meaning="something hangs and was left as it is; the next start goes on from the journal"
    )
    sys.stderr.flush()
    os._exit(status)


def run_daemon(settings: Settings) -> int:
    """The exit status: 0 after a stop on request, 1 when it could not begin, 70 when a part of it died, or it
    stopped by itself because only a new process helps."""
    given = (settings.journal.key, settings.hypervisor.password)
    known = {*secrets_in(settings.amqp.url.get_secret_value()), *(s.get_secret_value() for s in given if s)}
    # The watchdog's SIGABRT then writes where every thread is: names of files and functions, no values.
    faulthandler.enable()
    configure(settings.log.level, settings.log.format, known_secrets=known)
    gc.set_threshold(*COLLECTED)
    try:
        uvloop.run(serve(settings))
    except StartRefused as refusal:
        return _refused(refusal)
    except Worn:
        return DEAD  # the log has why
    except Exception as death:  # the process ends here: its manager is told by the status, people by the log
        group = death if isinstance(death, ExceptionGroup) else ExceptionGroup("start", [death])
        if (refusals := group.subgroup(StartRefused)) is not None:
            return _refused(refusals.exceptions[0])
        log.exception("agent.died", exc_info=death)
        return DEAD
    return 0


def _refused(refusal: Exception) -> int:
    print(f"compute-agent: {refusal}", file=sys.stderr)
    return 1
