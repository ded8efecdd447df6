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
import signal
import sys
import time
import traceback
from pathlib import Path

import libvirt

from tests.chaos import rounds
from tests.chaos.ground import Ground, ground
from tests.chaos.story import Story, table
from tests.rig import own_mounts, rig_directory

INSIDE = "CHAOS_INSIDE"
DRIVERS: dict[str, tuple[str, ...]] = {"both": ("fake", "libvirt"), "fake": ("fake",), "libvirt": ("libvirt",)}


async def run(directory: Path, options: argparse.Namespace, story: Story) -> list[str]:
    """The violations of the first round that has some, or of all together."""
    drivers, task = DRIVERS[options.driver], asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with ground(directory, drivers, story) as made:
        made.only = options.only
        try:
            for number in range(options.first - 1, options.rounds):
                if found := await _round(made, number, options):
                    return found
            return [f"{side.driver}: {line}" for side in made.sides for line in rounds.in_all(side)]
        finally:
            print(f"\nseed {options.seed}\n{table(story, list(drivers))}\n{_places(made)}\n", flush=True)


async def _round(made: Ground, number: int, options: argparse.Namespace) -> list[str]:
    story = made.story
    story.lines.clear()
    began = time.monotonic()
    story.tell(f"round {number + 1} of {options.rounds}, seed {options.seed}")
    try:
        found = await rounds.one(made, random.Random(f"{options.seed}/{number}"), options.requests)
    except Exception:
        found = [f"the round broke off:\n{traceback.format_exc()}"]
    made.teller.count("rounds")
    took = time.monotonic() - began
    print(f"round {number + 1}/{options.rounds}: {'FAILED' if found else 'holds'} in {took:.1f} s", flush=True)
    return found


def _places(made: Ground) -> str:
    return "\n".join(
        f"{side.driver}: died at {side.deck} places"
        + "".join(f"\n  never at {place}" for place in side.deck.missed)
        for side in made.sides
    )


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/chaos", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--first", type=int, default=1, help="begin with this round: each has a seed of its own")
    parser.add_argument("--seed", type=int, default=None, help="default: a new one, printed")
    parser.add_argument("--requests", type=int, default=30, help="in each round; half of it for libvirt's guests")
    parser.add_argument(
        "--driver", choices=tuple(DRIVERS), default="both", help="default both: two agents on one broker"
    )
    parser.add_argument("--only", default="", help="accidents with this in their names, as `kill` or `disk full`")
    parser.add_argument("--quiet", action="store_true", help="no accidents told while they happen")
    return parser.parse_args(arguments)


def trial(options: argparse.Namespace) -> bool:
    """Whether all held; prints what there is to say."""
    story = Story(loud=not options.quiet)
    with rig_directory() as directory:
        found = asyncio.run(run(directory, options, story))
        if not found:
            return True
        kept = directory.rename(directory.with_name(directory.name.replace("rig-", "chaos-", 1)))
    print(f"VIOLATED with seed {options.seed}; logs and journals are in {kept}/<driver>/agent and /state")
    print("\n".join(["", *found, "", "the story of the round:", *story.lines]), flush=True)
    return False


def main() -> int:
    options = parse()
    if os.geteuid() != 0:
        print(
            "chaos needs root, for mounts and guests of its own: scripts/chaos asks sudo",
            file=sys.stderr,
        )
        return 2
    if os.environ.get(INSIDE) is None:
        # With mounts of its own, so that none is left on this box whatever ends us.
        command = [*own_mounts(), sys.executable, "-m", "tests.chaos", *sys.argv[1:]]
        os.execvpe(command[0], command, {**os.environ, INSIDE: "yes"})
    options.seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    # What is done to the broker isn't worth a line of the clients' library each time.
    logging.getLogger("aiormq").setLevel(logging.CRITICAL)
    logging.getLogger("aio_pika").setLevel(logging.CRITICAL)
    libvirt.registerErrorHandler(lambda *_: None, None)  # it would print each that is raised
    try:
        return 0 if trial(options) else 1
    except asyncio.CancelledError:
        return 128 + signal.SIGTERM


if __name__ == "__main__":
    sys.exit(main())
