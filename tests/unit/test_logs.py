import asyncio
import io
import json
import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
from aio_pika.tools import OneShotCallback

from agent import logs
from agent.secret import MASK, Secret


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield io.StringIO()
    root.handlers[:], level = before[0], before[1]
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_line_says_when_how_bad_what_and_who(out: io.StringIO) -> None:
    logs.configure(format="json", stream=out)
    structlog.get_logger("agent.saga").warning("saga.failed", step="define")
    (line,) = lines(out)
    assert abs((datetime.now(UTC) - datetime.fromisoformat(line.pop("time"))).total_seconds()) < 60
    assert line == {"level": "warning", "event": "saga.failed", "logger": "agent.saga", "step": "define"}


async def test_what_a_task_binds_is_on_its_lines_and_on_no_others(out: io.StringIO) -> None:
    logs.configure(format="json", stream=out)

    async def work() -> None:
        logs.bind(request_id="r", instance=7, method="spawn")
        structlog.get_logger("a").info("ours")
        logging.getLogger("aiormq").warning("theirs")

    await asyncio.create_task(work())
    structlog.get_logger("a").info("after")
    ours, theirs, after = lines(out)
    for line in (ours, theirs):
        assert (line["request_id"], line["instance"], line["method"]) == ("r", "7", "spawn")
    assert "request_id" not in after


async def test_what_is_bound_follows_into_threads_and_does_not_leak_between_tasks(out: io.StringIO) -> None:
    logs.configure(format="json", stream=out)

    async def work(name: str) -> None:
        logs.bind(request_id=name)
        await asyncio.to_thread(structlog.get_logger("a").info, name)

    await asyncio.gather(*(work(f"r{i}") for i in range(8)))
    assert len(lines(out)) == 8
    assert all(line["event"] == line["request_id"] for line in lines(out))


def test_a_line_below_the_level_is_not_written(out: io.StringIO) -> None:
    logs.configure("warning", "json", stream=out)
    structlog.get_logger("a").info("no")
    logging.getLogger("asyncio").info("no")
    structlog.get_logger("a").error("yes")
    assert [line["event"] for line in lines(out)] == ["yes"]


def test_the_broker_librarys_debug_lines_stay_out_even_at_debug(out: io.StringIO) -> None:
    logs.configure("debug", "json", stream=out)
    logging.getLogger("aiormq.connection").debug("Prepare to send %r", "a frame with a body")
    logging.getLogger("aio_pika.robust_connection").debug("chatter")
    structlog.get_logger("a").debug("ours")
    assert [line["event"] for line in lines(out)] == ["ours"]


async def test_aio_pikas_line_about_a_closed_callback_is_dropped_and_its_other_errors_are_not(
    out: io.StringIO,
) -> None:
    logs.configure(format="json", stream=out)

    async def gone() -> None:
        raise ConnectionError("connection lost")

    await OneShotCallback(gone)()
    logging.getLogger("aio_pika.tools").error("something else")
    assert [line["event"] for line in lines(out)] == ["something else"]


def test_an_exception_is_one_json_line_without_local_variables_or_secrets(out: io.StringIO) -> None:
    logs.configure(format="json", stream=out, known_secrets=["hunter2"])

    def connect() -> None:
        local = "a local value".upper()
        raise ConnectionError(f"amqp://u:other@h refused, {len(local)}, login hunter2")

    try:
        connect()
    except ConnectionError:
        structlog.get_logger("a").exception("broker.lost")
        logging.getLogger("asyncio").exception("broker.lost")
    for line in lines(out):
        assert "ConnectionError" in line["exception"]
        assert "in connect" in line["exception"]
        assert "A LOCAL VALUE" not in line["exception"]
        assert "hunter2" not in line["exception"]
        assert "other" not in line["exception"]
    assert len(lines(out)) == 2


@pytest.mark.parametrize("format", ["json", "console"])
def test_secrets_are_starred_out_in_both_formats(out: io.StringIO, format: logs.Format) -> None:
    logs.configure("info", format, stream=out)
    structlog.get_logger("a").info("spawn", args={"admin_pass": "hunter2"}, key=Secret("hunter2"))
    logging.getLogger("b").info("to %s", "amqp://u:hunter2@h/", extra={"token": "hunter2"})
    assert "hunter2" not in out.getvalue()
    assert out.getvalue().count(MASK) == 4


def test_any_value_can_be_logged(out: io.StringIO) -> None:
    logs.configure(format="json", stream=out)
    structlog.get_logger("a").info("x", path=Path("/dev"), when=datetime.now(UTC), raw=b"\xff\n", text="ä\u2028\n")
    assert len(out.getvalue().split("\n")) == 2
    assert lines(out)[0]["path"] == "/dev"


def test_warnings_become_lines(out: io.StringIO) -> None:
    logs.configure(format="json", stream=out)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        logging.captureWarnings(False)
    assert "DeprecationWarning: old" in lines(out)[0]["event"]


def test_setting_up_twice_writes_each_line_once(out: io.StringIO) -> None:
    logs.configure(format="json", stream=io.StringIO())
    logs.configure(format="json", stream=out)
    structlog.get_logger("a").info("once")
    assert len(lines(out)) == 1


def test_another_programs_handler_is_left_alone(out: io.StringIO) -> None:
    other = logging.NullHandler()
    logging.getLogger().addHandler(other)
    logs.configure(format="json", stream=out)
    logs.configure(format="json", stream=out)
    assert other in logging.getLogger().handlers


def test_auto_is_json_where_no_terminal_is(out: io.StringIO) -> None:
    logs.configure(stream=out)
    structlog.get_logger("a").info("x")
    assert lines(out)[0]["event"] == "x"


ONE_LINE = """
import os, sys, structlog
from agent import logs
if sys.argv[1:] == ["journal"]:
    found = os.fstat(2)
    os.environ["JOURNAL_STREAM"] = f"{found.st_dev}:{found.st_ino}"
logs.configure()
structlog.get_logger("a").warning("x")
"""


def test_under_systemd_a_line_begins_with_the_journals_priority() -> None:
    done = subprocess.run([sys.executable, "-c", ONE_LINE, "journal"], capture_output=True, text=True, check=True)
    assert done.stderr.startswith("<4>{")
    assert json.loads(done.stderr.removeprefix("<4>"))["event"] == "x"


def test_on_a_terminal_a_line_is_readable_and_coloured() -> None:
    ours, theirs = os.openpty()
    with os.fdopen(ours, "rb", buffering=0) as reader:
        done = subprocess.run([sys.executable, "-c", ONE_LINE], stderr=theirs, check=True)
        os.close(theirs)
        line = reader.read(4096).decode()
    assert done.returncode == 0
    assert "warning" in line
    assert "\x1b[" in line
    assert not line.startswith("{")


@pytest.mark.parametrize(
    ("url", "passwords"),
    [
        ("amqp://u:p%40ss@h/", {"p%40ss", "p@ss"}),
        ("amqp://u:plain@h/", {"plain"}),
        ("amqp://h/", set()),
        ("amqp://[broken", set()),
    ],
)
def test_the_password_of_a_url_is_known_as_written_and_as_decoded(url: str, passwords: set[str]) -> None:
    assert set(logs.secrets_in(url)) == passwords


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("aio_pika.tools", "Callback <OneShotCallback: cb=x> error"),
        ("aiormq.connection", "error when creating transport: ConnectionRefusedError()"),
        ("aiormq.connection", "Cancelling cause reader exited abnormally"),
    ],
)
def test_an_outage_is_told_by_our_lines_not_by_the_librarys(out: io.StringIO, name: str, text: str) -> None:
    logs.configure(format="json", stream=out)
    logging.getLogger(name).error(text)
    logging.getLogger(name).error("something else")
    assert [line["event"] for line in lines(out)] == ["something else"]
