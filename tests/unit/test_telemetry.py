"""An operation's time and whose it was."""

from __future__ import annotations

import pytest

from agent import telemetry


def test_what_is_no_others_is_the_agents_own_and_the_journal_is_part_of_it() -> None:
    with telemetry.measured() as shares:
        telemetry.spent("libvirt", 0.5)
        telemetry.spent("download", 0.25)
        telemetry.spent("journal", 0.125)
    shares |= {"total": 1.0, "queued": 3.0}
    telemetry.add_own(shares)
    assert shares["own"] == 0.25


def test_others_that_overlap_leave_nothing_rather_than_less() -> None:
    shares = {"total": 1.0, "libvirt": 0.75, "wait": 0.75}
    telemetry.add_own(shares)
    assert shares["own"] == 0.0


def test_time_that_nobody_measures_is_counted_for_nobody() -> None:
    with telemetry.share("wait"):
        pass
    with telemetry.measured() as shares:
        pass
    assert shares == {}


def test_two_pieces_of_one_share_add_up() -> None:
    with telemetry.measured() as shares:
        telemetry.spent("wait", 1.0)
        telemetry.spent("wait", 0.5)
    assert shares == {"wait": pytest.approx(1.5)}
