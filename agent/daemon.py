"""One agent as a process: signals, the event loop, the exit status. `__main__` calls `run_daemon`."""

from __future__ import annotations

import asyncio
import signal
import sys
import time

import structlog
import uvloop

from agent.journal.refusal import StartRefused
from agent.logs import configure, secrets_in
from agent.service import Service
from agent.settings import Settings

log = structlog.get_logger(__name__)


async def serve(settings: Settings) -> None:
    """Run one agent until SIGTERM or SIGINT."""
    service = Service(settings)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, service.stop)
    began = time.monotonic()
    try:
        await service.run()
    finally:
        log.info("agent.gone", up_s=round(time.monotonic() - began, 1))


def run_daemon(settings: Settings) -> int:
    """The exit status: 0 after a stop on request, 1 when it could not begin, 70 when a part of it died."""
    given = (settings.journal.key, settings.hypervisor.password)
    known = {*secrets_in(settings.amqp.url.get_secret_value()), *(s.get_secret_value() for s in given if s)}
    configure(settings.log.level, settings.log.format, known_secrets=known)
    try:
        uvloop.run(serve(settings))
    except StartRefused as refusal:
        return _refused(refusal)
    except Exception as death:  # the process ends here: its manager is told by the status, people by the log
        group = death if isinstance(death, ExceptionGroup) else ExceptionGroup("start", [death])
        if (refusals := group.subgroup(StartRefused)) is not None:
            return _refused(refusals.exceptions[0])
        log.exception("agent.died", exc_info=death)
        return 70
    return 0


def _refused(refusal: Exception) -> int:
    print(f"compute-agent: {refusal}", file=sys.stderr)
    return 1
