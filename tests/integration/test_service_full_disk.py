from __future__ import annotations

from pathlib import Path

from tests.integration.small_disk import told_by


def test_an_agent_that_starts_on_a_full_disk_waits_for_room(tmp_path: Path) -> None:
    told = told_by("tests.integration.service_filler", tmp_path)
    assert told == {
        "waits until it is told to stop": True,
        "starts when there is room": True,
        "ends well": True,
    }


def test_guests_that_should_run_are_started_also_when_the_disk_is_full_at_the_hosts_boot(tmp_path: Path) -> None:
    told = told_by("tests.integration.boot_filler", tmp_path)
    assert told == {
        "the boot can't be noted": True,
        "the guest is started when there is room": True,
        "ends well": True,
    }
