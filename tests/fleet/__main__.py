"""`scripts/bench-fleet`: agents with make-believe guests on one broker, driven by the example scheduler."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench.figures import machine, shown
from tests.fleet.bench import Sized, measure
from tests.fleet.ground import allow_many_files
from tests.rig import rig_directory

SIZES = (10, 100, 500)
ROWS: dict[str, Callable[[Sized], float]] = {
    "connections, each": lambda s: s.each(lambda h: h.connections),
    "channels, each": lambda s: s.each(lambda h: h.channels),
    "consumers, each": lambda s: s.each(lambda h: h.consumers),
    "classic queues, each": lambda s: s.each(lambda h: h.classic),
    "quorum queues, each": lambda s: s.each(lambda h: h.quorum),
    "Erlang processes, each": lambda s: s.each(lambda h: h.processes),
    "broker's resident memory, KiB each": lambda s: 1024 * s.each(lambda h: h.rss),
    "broker at rest, cores": lambda s: s.broker_at_rest,
    "agents at rest, cores": lambda s: s.agents_at_rest,
    "guests placed": lambda s: s.guests,
    "guests a second": lambda s: s.guests / s.placing_s,
    "spawn to running, p50, s": lambda s: s.spawn_p50,
    "spawn to running, p95, s": lambda s: s.spawn_p95,
    "broker restarted: all answer after, s": lambda s: s.back_s,
    "first to last connection, s": lambda s: s.connecting_s,
    "most connections within a second": lambda s: s.busiest_second,
}


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench-fleet", description=__doc__)
    parser.add_argument("agents", nargs="*", type=int, help=f"sizes; default {' '.join(map(str, SIZES))}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there")
    return parser.parse_args(arguments)


def table(found: list[Sized]) -> Table:
    made = Table("figure", *(f"{sized.agents} agents" for sized in found), title="fleet", title_justify="left")
    for name, figure in ROWS.items():
        made.add_row(name, *(shown(figure(sized)) for sized in found))
    return made


async def _all(sizes: list[int]) -> list[Sized]:
    found = []
    for agents in sizes:
        with rig_directory() as directory:
            found.append(await measure(directory, agents, lambda line: print(line, flush=True)))
    return found


def main() -> int:
    asked = parse()
    for name in ("aiormq", "aio_pika", "agent"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    allow_many_files()
    found = asyncio.run(_all(asked.agents or list(SIZES)))
    Console(width=100).print(table(found))
    print(f"on {machine()}")
    if asked.json is not None:
        document = {"machine": machine(), "fleets": [sized.document() for sized in found]}
        asked.json.write_text(json.dumps(document, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
