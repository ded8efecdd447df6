"""The fleet's bench runs; its figures aren't judged, they are the machine's."""

from __future__ import annotations

import json
from pathlib import Path

from tests.fleet.__main__ import ROWS, table
from tests.fleet.bench import busiest, measure
from tests.rig import rig_directory


async def test_four_agents_in_one_process_are_four_on_the_broker() -> None:
    with rig_directory() as directory:
        found = await measure(Path(directory), 4, print)
    assert found.guests == 8
    assert found.each(lambda held: held.connections) == 2
    assert found.each(lambda held: held.consumers) == 4
    assert found.at_rest.quorum == 4 + 1  # each host's commands, and those of any host
    assert found.spawn_p50 > 0
    assert json.loads(json.dumps(found.document()))["agents"] == 4
    assert table([found]).row_count == len(ROWS)


def test_the_busiest_second_is_where_most_connections_were_made() -> None:
    assert busiest([0.0, 0.5, 0.9, 1.0, 1.6, 3.0]) == 3
    assert busiest([5.0]) == 1
