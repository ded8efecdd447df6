from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.rig import own_mounts

ROOT = Path(__file__).parents[2]


def test_a_fake_world_on_a_full_disk_can_be_looked_at_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    namespace = own_mounts() + ([] if os.geteuid() == 0 else ["--user", "--map-root-user"])
    command = [*namespace, sys.executable, "-m", "tests.integration.fake_full_disk", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert len(told["seen when full"]) == 1
    assert not told["up when full"]
    assert told["refused"]
    assert told["told when full"] == 0
    assert told["up after"]
    assert told["state after"] == "running"
    assert told["told after"] == ["touched"]
    assert told["left half made"] == []
