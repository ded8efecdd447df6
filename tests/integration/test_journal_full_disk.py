from __future__ import annotations

from pathlib import Path

from tests.integration.small_disk import told_by


def test_a_full_disk_is_told_loses_nothing_and_is_got_over(tmp_path: Path) -> None:
    told = told_by("tests.integration.journal_filler", tmp_path)
    assert "the journal's disk is full" in told["message"]
    assert told["taken"] > 10
    assert told["pending_when_full"] == told["taken"]
    assert told["kept"]
    # On a disk full to the last byte: what is under way still ends, in the room that the journal has.
    assert told["statuses"] == ["succeeded"]
    # Its trouble is told as long as changes are refused, though small writes still fit.
    assert told["refusals"] == {"refused": 10, "told": [True] * 10, "over": True}
    assert told["sequences"] == [2]
    assert told["set_aside"] == []
    assert list(tmp_path.iterdir()) == []
