import os
import subprocess
import sys
from typing import Any

import pytest

from agent.cli.progress import follow, said
from tests.unit.cli.desk import UUID_1, Desk, event


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"doing": "downloading", "progress": 0.5}, ("downloading", 0.5)),
        ({"doing": "downloading"}, ("downloading", None)),
        ({"progress": 1}, ("", 1.0)),
        ({"progress": 2}, ("", None)),
        ({"progress": "half"}, ("", None)),
        ({}, ("", None)),
    ],
)
def test_what_a_progress_event_says(data: dict[str, Any], told: tuple[str, float | None]) -> None:
    assert said(event("compute.operation.progress", **data)) == told


async def test_other_events_say_nothing_of_progress() -> None:
    shown: list[tuple[str, float | None]] = []
    desk = Desk(
        live=[event("compute.instance.spawn.start"), event("compute.operation.progress", doing="a", progress=0.1)]
    )
    async with desk.events(instance=UUID_1) as events:
        await follow(events, lambda *told: shown.append(told))
    assert shown == [("a", 0.1)]


SLOW = """
import asyncio
from uuid import UUID
from agent.cli.progress import watched
from tests.unit.cli.desk import Desk, event

told = asyncio.Event()

class Told(Desk):
    async def _events(self, instance):
        yield event("compute.operation.progress", doing="downloading", progress=0.5)
        told.set()
        await asyncio.Event().wait()

async def work():
    await told.wait()  # what the bar shows last is drawn whenever it ends
    return "the result"

print(asyncio.run(watched(Told(), UUID(int=1), "spawn", work())))
"""


def test_a_terminal_gets_a_bar_on_standard_error_and_the_result_stays_clean() -> None:
    ours, theirs = os.openpty()
    done = subprocess.run(
        [sys.executable, "-c", SLOW], stdout=subprocess.PIPE, stderr=theirs, text=True, check=True
    )
    os.close(theirs)
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        drawn = terminal.read(65536).decode()
    assert done.stdout == "the result\n"
    assert "spawn: downloading" in drawn


def test_without_a_terminal_nothing_is_drawn() -> None:
    # No events are asked for then, so the work must not wait for any.
    alone = SLOW.replace("await told.wait()", "pass")
    done = subprocess.run([sys.executable, "-c", alone], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("the result\n", "")
