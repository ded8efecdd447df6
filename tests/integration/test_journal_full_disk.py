from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.rig import own_mounts

ROOT = Path(__file__).parents[2]


def test_a_full_disk_is_told_loses_nothing_and_is_got_over(tmp_path: Path) -> None:
    namespace = own_mounts() + ([] if os.geteuid() == 0 else ["--user", "--map-root-user"])
    command = [*namespace, sys.executable, "-m", "tests.integration.journal_filler", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert "the journal's disk is full" in told["message"]
    assert told["taken"] > 10
    assert told["pending_when_full"] == told["taken"]
    assert told["kept"]
    # On a disk full to the last byte: what is under way still ends, in the room that the journal has.
    assert told["statuses"] == ["succeeded"]
    assert told["sequences"] == [1, 2]
    assert told["set_aside"] == []
    assert list(tmp_path.iterdir()) == []
