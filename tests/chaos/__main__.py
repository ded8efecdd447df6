"""`scripts/chaos --rounds N --seed S`: as many rounds of load and accidents; 1 when something didn't hold.

A seed gives the same requests and the same accidents in the same order. It can't give the same instants: those
are the machine's. So a violation prints, with its seed, the story of the round and where the log and journal are.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos import rounds
from tests.chaos.ground import ground
from tests.chaos.story import Story
from tests.rig import own_mounts

INSIDE = "CHAOS_INSIDE"


async def run(directory: Path, options: argparse.Namespace, story: Story) -> list[str]:
    """The violations of the first round that has some."""
    async with ground(directory, options.driver, story) as made:
        made.only = options.only
        for number in range(options.rounds):
            story.lines.clear()
            began = time.monotonic()
            story.tell(f"round {number + 1} of {options.rounds}, {options.driver}, seed {options.seed}")
            found = await rounds.one(made, random.Random(f"{options.seed}/{number}"), options.requests)
            story.counts["rounds"] += 1
            answered = story.counts["requests"]
            print(
                f"round {number + 1}/{options.rounds}: {'FAILED' if found else 'holds'} "
                f"in {time.monotonic() - began:.1f} s; {answered} requests so far",
                flush=True,
            )
            if found:
                return found
    return []


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/chaos", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=None, help="default: a new one, printed")
    parser.add_argument("--requests", type=int, default=50, help="in each round")
    parser.add_argument("--driver", choices=("fake", "libvirt", "both"), default="both")
    parser.add_argument("--only", default="", help="accidents with this in their names, as `kill` or `disk full`")
    parser.add_argument("--quiet", action="store_true", help="no accidents told while they happen")
    asked = parser.parse_args(arguments)
    if asked.seed is None:
        asked.seed = random.SystemRandom().randrange(10**6)
    return asked


def trial(options: argparse.Namespace) -> bool:
    """Whether all held, on one driver; prints what there is to say."""
    # Not in a home directory, and short: QEMU runs as another user, and unix sockets have short names.
    directory = Path(tempfile.mkdtemp(prefix="rig-", dir="/var/tmp"))
    directory.chmod(0o755)
    story = Story(loud=not options.quiet)
    found = asyncio.run(run(directory, options, story))
    print(f"\n{options.driver}, seed {options.seed}\n{story.table()}\n")
    if not found:
        shutil.rmtree(directory, ignore_errors=True)
        return True
    print(
        f"VIOLATED on {options.driver} with seed {options.seed}; the log is {directory}/agent/agent.log, "
        f"the journal in {directory}/state"
    )
    print("\n".join(["", *found, "", "the story of the round:", *story.lines]), flush=True)
    return False


def main() -> int:
    if os.environ.get(INSIDE) is None:
        # With mounts of its own, so that none is left on this box whatever ends us.
        command = [*own_mounts(), sys.executable, "-m", "tests.chaos", *sys.argv[1:]]
        os.execvpe(command[0], command, {**os.environ, INSIDE: "yes"})
    options = parse()
    # What is done to the broker isn't worth a line of the clients' library each time.
    logging.getLogger("aiormq").setLevel(logging.CRITICAL)
    logging.getLogger("aio_pika").setLevel(logging.CRITICAL)
    drivers = ("fake", "libvirt") if options.driver == "both" else (options.driver,)
    held = [trial(argparse.Namespace(**{**vars(options), "driver": driver})) for driver in drivers]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
