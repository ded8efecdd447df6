"""What was sent is written down before it is sent, and survives whatever ends the scheduler."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from examples.scheduler.claims import Claims

END = datetime(2030, 1, 31, 12, tzinfo=UTC)
UUID = uuid4()


def test_what_has_no_end_is_open_in_the_next_run_under_the_same_identity(tmp_path: Path) -> None:
    with Claims(tmp_path / "claims") as claims:
        sent = claims.begin(UUID, "h1", END)
        # As after a kill: nothing was closed.
        with Claims(tmp_path / "claims") as again:
            assert again.open == {UUID: sent}
            assert again.open[UUID].identity == sent.identity
            assert again.placed == {}


def test_what_was_placed_is_placed_in_the_next_run(tmp_path: Path) -> None:
    with Claims(tmp_path / "claims") as claims:
        claims.end(claims.begin(UUID, "h1", END), "placed")
    with Claims(tmp_path / "claims") as again:
        assert again.open == {}
        assert again.placed[UUID].host == "h1"


def test_each_attempt_has_an_identity_of_its_own_over_restarts_too(tmp_path: Path) -> None:
    identities = set()
    for host in ("h1", "h2", "h1"):
        with Claims(tmp_path / "claims") as claims:
            sent = claims.begin(UUID, host, END)
            identities.add(sent.identity)
            claims.end(sent, "gone")
    assert len(identities) == 3


def test_what_was_placed_and_is_gone_is_neither_placed_nor_open(tmp_path: Path) -> None:
    with Claims(tmp_path / "claims") as claims:
        sent = claims.begin(UUID, "h1", END)
        claims.end(sent, "placed")
        claims.end(sent, "gone")
        assert (claims.open, claims.placed) == ({}, {})
    with Claims(tmp_path / "claims") as again:
        assert (again.open, again.placed) == ({}, {})


def test_a_line_that_a_kill_has_cut_is_as_if_it_had_not_been_begun(tmp_path: Path) -> None:
    path = tmp_path / "claims"
    with Claims(path) as claims:
        first = claims.begin(UUID, "h1", END)
    whole = path.read_bytes()
    for cut in range(1, len(whole)):
        path.write_bytes(whole + whole[:cut])
        with Claims(path) as again:
            assert again.open == {UUID: first}
            other = again.begin(uuid4(), "h2", END)
        with Claims(path) as again:
            assert again.open == {UUID: first, other.uuid: other}
