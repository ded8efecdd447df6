from __future__ import annotations

from pathlib import Path

from tests.integration.small_disk import told_by


def test_a_fake_world_on_a_full_disk_can_be_looked_at_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    told = told_by("tests.integration.fake_full_disk", tmp_path)
    assert len(told["seen when full"]) == 1
    assert not told["up when full"]
    assert told["refused"]
    assert told["told when full"] == 0
    assert told["up after"]
    assert told["state after"] == "running"
    assert told["told after"] == ["touched"]
    assert told["left half made"] == []
