from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.rig import own_mounts

ROOT = Path(__file__).parents[2]


def test_an_agent_that_starts_on_a_full_disk_waits_for_room(tmp_path: Path) -> None:
    namespace = own_mounts() + ([] if os.geteuid() == 0 else ["--user", "--map-root-user"])
    command = [*namespace, sys.executable, "-m", "tests.integration.service_filler", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told == {
        "waits until it is told to stop": True,
        "starts when there is room": True,
        "ends well": True,
    }
