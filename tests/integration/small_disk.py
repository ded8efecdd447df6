"""A small disk of one's own that can be filled, for programs that tell what became of them there.

    told = told_by("tests.integration.journal_filler", tmp_path)

The program is run in a mount namespace of its own; it mounts the disk, which ends with it, and prints JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.rig import own_mounts

ROOT = Path(__file__).parents[2]


def told_by(module: str, *arguments: object) -> dict[str, Any]:
    """What it prints in its last line."""
    namespace = own_mounts() + ([] if os.geteuid() == 0 else ["--user", "--map-root-user"])
    command = [*namespace, sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def mount(directory: Path, size_mb: int) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_mb}m", "none", str(directory)], check=True)


def fill_up(file: Path) -> None:
    """Take all the room there is, to the last byte."""
    with file.open("wb", buffering=0) as ballast:
        for size in (4096, 512, 1):
            with suppress(OSError):
                while ballast.write(bytes(size)):
                    pass
