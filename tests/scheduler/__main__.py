"""`scripts/scheduler-trial`: 200 guests over 20 agents, one of which is killed, and the scheduler too."""

from __future__ import annotations

import argparse
import asyncio
import sys

from tests.rig import Broker, rig_directory
from tests.scheduler.trial import Size, Trial, run


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/scheduler-trial", description=__doc__)
    parser.add_argument("--hosts", type=int, default=20, metavar="N")
    parser.add_argument("--guests", type=int, default=200, metavar="N")
    parser.add_argument("--at-once", type=int, default=32, metavar="N", help="guests on their way at a time")
    return parser.parse_args(arguments)


def main() -> int:
    asked = parse()
    size = Size(asked.hosts, asked.guests, asked.at_once)
    with rig_directory() as directory, Broker(directory / "broker") as broker:
        result = asyncio.run(run(Trial(directory, broker, size, lambda line: print(line, flush=True))))
    once = sum(number == 1 for number in result.hosts_of.values())
    print("guests of each host: " + " ".join(f"{host}={number}" for host, number in result.per_host.items()))
    print(f"{result.sent_twice} guests were sent to a second host; power states: {dict(result.states)}")
    print(f"{once} of {size.guests} guests are on exactly one host")
    return 0 if once == len(result.hosts_of) == size.guests else 1


if __name__ == "__main__":
    sys.exit(main())
