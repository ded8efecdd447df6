"""See that each guest of a file runs on one host: `python -m examples.scheduler WANTED.json --claims FILE`"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import signal
import sys
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from agent.errors import AgentError
from agent.rpc.client import ComputeClient
from agent.rpc.schema.instance import Instance
from agent.settings_errors import SettingsError, read
from examples.scheduler.claims import Claims
from examples.scheduler.scheduler import Policy, Scheduler
from examples.scheduler.table import show, summary

_GUESTS = TypeAdapter(tuple[Instance, ...])


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    default = Policy()
    parser = argparse.ArgumentParser(prog="python -m examples.scheduler", description=__doc__)
    parser.add_argument("wanted", type=Path, help="JSON: a list of instances, each with its uuid")
    parser.add_argument(
        "--claims", type=Path, required=True, metavar="FILE", help="where it keeps what it has sent"
    )
    parser.add_argument(
        "--host", action="append", default=[], help="a host to ask at once; others by their reports"
    )
    parser.add_argument("--stay", action="store_true", help="go on when all are placed, until SIGTERM or ctrl-C")
    for name, what in {
        "silent-after": "a host that was quiet for so long is taken for away",
        "not-after": "how long a host has to begin a spawn",
        "skew": "how far clocks may be apart",
        "answer": "how long one answer is waited for",
        "rest": "how long a host isn't asked again that has said no",
    }.items():
        preset = getattr(default, name.replace("-", "_"))
        parser.add_argument(
            f"--{name}", type=float, default=preset, metavar="SECONDS", help=f"{what} ({preset:g})"
        )
    parser.add_argument(
        "--at-once", type=int, default=default.at_once, metavar="NUMBER", help="guests on their way"
    )
    return parser.parse_args(arguments)


async def serve(asked: argparse.Namespace, wanted: tuple[Instance, ...]) -> int:
    settings = read()
    policy = Policy(
        silent_after=asked.silent_after,
        not_after=asked.not_after,
        skew=asked.skew,
        answer=asked.answer,
        rest=asked.rest,
        at_once=asked.at_once,
    )
    with Claims(asked.claims) as claims:
        async with ComputeClient(
            settings.amqp, exchange=settings.rpc.exchange, topic=settings.rpc.topic, app_id="scheduler"
        ) as compute:
            scheduler = Scheduler(compute, claims, policy)
            running = asyncio.ensure_future(scheduler.run(wanted, known=asked.host))
            showing = asyncio.ensure_future(show(scheduler, len(wanted)))
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, running.cancel)
            done = asyncio.ensure_future(scheduler.all_placed())
            await asyncio.wait({running} if asked.stay else {running, done}, return_when=asyncio.FIRST_COMPLETED)
            for task in (running, showing, done):
                task.cancel()
            await asyncio.wait({running, showing, done})
            if not running.cancelled():
                running.result()
            print(summary(scheduler, len(wanted)))
            return 0 if len(scheduler.placed) >= len(wanted) else 1


def main() -> int:
    asked = parse()
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    try:
        return asyncio.run(serve(asked, _GUESTS.validate_python(json.loads(asked.wanted.read_text()))))
    except (OSError, ValueError, ValidationError, SettingsError, AgentError) as error:
        print(f"scheduler: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
