"""Measures the agent and prints a table for each bench; figures are ratios of one run, the machine is shared."""

from __future__ import annotations

import argparse
import asyncio
import inspect
import logging
import sys
from pathlib import Path

from tests.bench import figures
from tests.bench.bed import Bed
from tests.bench.figures import Figure
from tests.bench.table import BENCHES
from tests.rig import rig_directory


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("name", nargs="*", help=f"which; default all: {', '.join(BENCHES)}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every repetition of every figure there")
    parser.add_argument("--repeat", type=int, default=5, metavar="N", help="repetitions of each measurement (5)")
    parser.add_argument(
        "--part", type=float, default=1.0, help="how much is done in each, as a part of it all (1)"
    )
    asked = parser.parse_args(arguments)
    for unknown in set(asked.name) - BENCHES.keys():
        parser.error(f"no bench {unknown!r}; there are {', '.join(BENCHES)}")
    return asked


async def measure(bed: Bed, names: list[str]) -> dict[str, list[Figure]]:
    found = {}
    for name in names:
        found[name] = await BENCHES[name](bed)
        figures.show(name, inspect.getdoc(BENCHES[name]) or "", found[name])
    return found


def main() -> int:
    asked = parse()
    logging.getLogger("aiormq").setLevel(logging.CRITICAL)
    with rig_directory() as directory:
        bed = Bed(directory, asked.repeat, asked.part)
        try:
            found = asyncio.run(measure(bed, asked.name or list(BENCHES)))
        finally:
            bed.close()
    if asked.json is not None:
        asked.json.write_text(figures.document(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
