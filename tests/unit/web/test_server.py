"""The socket: its pages, its rights, and that it harms nobody."""

from __future__ import annotations

import asyncio
import json
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import structlog.testing
from prometheus_client.parser import text_string_to_metric_families

from agent import health_socket
from agent.health import SOCKET, Commands, Health, Hypervisor, Outbox
from agent.rpc.tasks import end
from agent.web.metrics import SERIES, exposition
from agent.web.server import HealthServer
from tests.unit.web.test_health import TROUBLES
from tests.unit.web.well import NOW, WELL

PATIENCE_S = 60.0
"""For the first page above all: the HTTP server is loaded before it."""


@asynccontextmanager
async def served(directory: Path, health: Health = WELL) -> AsyncIterator[Path]:
    async def look() -> Health:
        return health.judged()

    left = _made(directory)
    task = asyncio.create_task(HealthServer(directory / SOCKET, look).run())
    try:
        await listens(directory, left)
        assert not task.done()
        yield directory
    finally:
        await end(task)


async def listens(directory: Path, left: object = None) -> None:
    """On another socket than what was `left` there."""
    async with asyncio.timeout(PATIENCE_S):
        while _made(directory) in (None, left):
            await asyncio.sleep(0.001)


def _made(directory: Path) -> tuple[int, int] | None:
    try:
        found = (directory / SOCKET).lstat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_ctime_ns


async def page(directory: Path, name: str) -> tuple[int, str]:
    return await asyncio.to_thread(health_socket.page, directory, name, PATIENCE_S)


async def test_everything_is_shown_as_it_is(tmp_path: Path) -> None:
    async with served(tmp_path):
        assert await asyncio.to_thread(health_socket.ask, tmp_path, PATIENCE_S) == WELL


@pytest.mark.parametrize(("health", "severity"), [(line[0], line[1]) for line in TROUBLES])
async def test_the_status_says_whether_it_is_healthy_and_ready(
    tmp_path: Path, health: Health, severity: str
) -> None:
    async with served(tmp_path, health):
        healthy, text = await page(tmp_path, "/healthz")
        ready, _ = await page(tmp_path, "/readyz")
        assert (await page(tmp_path, "/health"))[0] == 200
    assert (healthy, ready) == {"fatal": (503, 503), "not_ready": (200, 503), "warning": (200, 200)}[severity]
    assert json.loads(text)["problems"][0]["severity"] == severity


async def test_the_metrics_say_the_same_in_prometheus_own_form(tmp_path: Path) -> None:
    async with served(tmp_path):
        status, text = await page(tmp_path, "/metrics")
    assert status == 200
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert {f"compute_agent_{series.name}" for series in SERIES} <= families.keys()
    assert families["compute_agent_ready"].samples[0].value == 1
    assert families["compute_agent_operations_pending"].samples[0].value == 3
    links = {s.labels["link"]: s.value for s in families["compute_agent_broker_link_up"].samples}
    assert links == {"commands": 1, "answers": 1}
    assert families["process_resident_memory_bytes"].samples[0].value > 0


def test_each_metric_of_work_shows_its_own_figure() -> None:
    def ago(seconds: int) -> datetime:
        return NOW - timedelta(seconds=seconds)

    busy = WELL.model_copy(
        update={
            "commands": Commands(taken=True, pending=2, max_pending=3, in_hand=4, in_hand_since=ago(5)),
            "outbox": Outbox(waiting=6, oldest=ago(7), limit=8),
            "hypervisor": Hypervisor(
                driver="fake",
                reachable=True,
                lost_threads=9,
                lost_threads_bound=10,
                lost_threads_ever=11,
                overdue_calls=12,
            ),
        }
    )
    shown = {
        family.name.removeprefix("compute_agent_"): family.samples[0].value
        for family in text_string_to_metric_families(exposition(busy).decode())
        if family.samples
    }
    wanted = {
        "operations_pending": 2,
        "operations_pending_max": 3,
        "commands_in_hand": 4,
        "commands_in_hand_oldest_age_seconds": 5,
        "outbox_waiting": 6,
        "outbox_oldest_age_seconds": 7,
        "outbox_limit": 8,
        "hypervisor_lost_threads": 9,
        "hypervisor_lost_threads_max": 10,
        "hypervisor_calls_given_up": 11,
        "hypervisor_overdue_calls": 12,
    }
    assert {name: shown[name] for name in wanted} == wanted


def test_every_part_of_health_has_a_metric() -> None:
    """What isn't a number stays on the other pages."""
    parts = {name for name in Health.model_fields if name not in ("host", "agent_version", "pid", "observed_at")}
    metrics = " ".join(series.name for series in SERIES)
    named = {
        "started_at": "start_time",
        "commands": "commands_taken",
        "stopping": "ready",
        "worn": "healthy",
        "recovery": "recovered",
        "tasks": "task_busy",
        "watchdog": "healthy",
    }
    assert [part for part in parts if named.get(part, part) not in metrics] == []


async def test_only_its_owner_may_use_the_socket(tmp_path: Path) -> None:
    async with served(tmp_path):
        assert stat.S_IMODE((tmp_path / SOCKET).stat().st_mode) == 0o600


async def test_a_socket_that_a_killed_agent_left_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / SOCKET))
    async with served(tmp_path):
        assert (await page(tmp_path, "/healthz"))[0] == 200


async def test_who_asks_while_other_work_goes_first_waits_for_it(tmp_path: Path) -> None:
    done, loaded = asyncio.Event(), asyncio.Event()

    async def first() -> None:
        await done.wait()

    async def look() -> Health:
        return WELL

    server = HealthServer(tmp_path / SOCKET, look, first=first, on_loaded=loaded.set)
    task = asyncio.create_task(server.run())
    await listens(tmp_path)
    reader, writer = await asyncio.open_unix_connection(tmp_path / SOCKET)
    writer.write(b"GET /healthz HTTP/1.0\r\n\r\n")
    await writer.drain()
    assert not loaded.is_set()
    done.set()
    async with asyncio.timeout(PATIENCE_S):
        assert b" 200 OK" in await reader.readline()
    assert loaded.is_set()
    writer.close()
    await end(task)


async def test_the_socket_goes_with_the_agent(tmp_path: Path) -> None:
    async with served(tmp_path):
        assert (tmp_path / SOCKET).exists()
    assert list(tmp_path.iterdir()) == []


async def test_a_path_longer_than_a_sockets_address_will_do(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 120)
    deep.mkdir()

    async def look() -> Health:
        return WELL

    task = asyncio.create_task(HealthServer(deep / SOCKET, look).run())
    await listens(deep)
    assert (await page(deep, "/healthz"))[0] == 200
    await end(task)


async def test_what_is_no_socket_is_left_and_warned_of_and_the_agent_goes_on(tmp_path: Path) -> None:
    (tmp_path / SOCKET).write_text("somebody's")
    with structlog.testing.capture_logs() as logs:
        task = asyncio.create_task(HealthServer(tmp_path / SOCKET, lambda: asyncio.sleep(0, WELL)).run())
        async with asyncio.timeout(PATIENCE_S):
            while not logs:
                await asyncio.sleep(0.001)
        assert not task.done()
        await end(task)
    assert logs[0]["event"] == "health.no_socket"
    assert "is no socket" in logs[0]["error"]
    assert (tmp_path / SOCKET).read_text() == "somebody's"


async def test_a_page_that_cannot_be_made_is_an_error_of_that_page(tmp_path: Path) -> None:
    async def look() -> Health:
        raise RuntimeError("a bug")

    task = asyncio.create_task(HealthServer(tmp_path / SOCKET, look).run())
    await listens(tmp_path)
    assert (await page(tmp_path, "/health"))[0] == 500
    assert not task.done()
    await end(task)
