"""The log of a fake world: followed from several places, through its renewals."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from agent.hypervisor.fake.log import FULL_BYTES, Follower, Line, append
from agent.spec import PowerState

AT = datetime(2026, 1, 1, tzinfo=UTC)


def line(number: int) -> Line:
    return Line(kind="power", at=AT, uuid=UUID(int=number), state=PowerState.RUNNING, reason="booted")


def test_a_follower_sees_what_is_written_after_it_began(tmp_path: Path) -> None:
    log = tmp_path / "log"
    append(log, [line(1)])
    follower = Follower(log)
    append(log, [line(2), line(3)])
    assert follower.more() == [line(2), line(3)]
    assert follower.more() == []
    follower.close()


def test_nothing_is_lost_or_told_twice_when_the_file_is_renewed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    often, seldom = Follower(log), Follower(log)
    size, written, seen = len(line(0).model_dump_json()) + 1, 0, list[Line]()
    while written * size < FULL_BYTES * 1.5:
        append(log, [line(written + n) for n in range(100)])
        written += 100
        seen += often.more()
    assert log.stat().st_size < FULL_BYTES
    assert seen == [line(n) for n in range(written)]
    assert seldom.more() == seen
    often.close()
    seldom.close()


def test_a_line_that_is_half_written_is_told_when_it_is_whole(tmp_path: Path) -> None:
    log = tmp_path / "log"
    follower = Follower(log)
    text = line(1).model_dump_json()
    with log.open("a") as file:
        file.write(text[:20])
        file.flush()
        assert follower.more() == []
        file.write(text[20:] + "\n")
    assert follower.more() == [line(1)]
    follower.close()
