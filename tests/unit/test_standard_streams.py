"""What becomes of standard streams that were closed before the process began."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.standard_streams import open_standard_streams

_TELL = """
import os, sys
from agent.standard_streams import open_standard_streams
open_standard_streams()
first = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
streams = [stream.fileno() for stream in (sys.stdin, sys.stdout, sys.stderr)]
print("said", file=sys.stderr, flush=True)
inherited = [os.get_inheritable(number) for number in range(3)]
links = [os.readlink(f"/proc/self/fd/{number}") for number in range(3)]
os.write(first, f"{first > 2} {streams} {inherited} {links.count(os.devnull)}".encode())
"""


@pytest.mark.parametrize(
    ("closed", "nulls"), [("", 0), ("<&-", 1), (">&-", 1), ("2>&-", 1), ("<&- 2>&-", 2), ("<&- >&- 2>&-", 3)]
)
def test_what_is_closed_is_devnull_and_no_files_number(tmp_path: Path, closed: str, nulls: int) -> None:
    written = tmp_path / "written"
    command = ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-c", _TELL, str(written)]
    subprocess.run(command, check=True, input=b"", capture_output=True)
    assert written.read_text() == f"True [0, 1, 2] [True, True, True] {nulls}"


def test_what_is_open_stays_as_it_is() -> None:
    before = [os.fstat(number).st_ino for number in range(3)], (sys.stdin, sys.stdout, sys.stderr)
    open_standard_streams()
    assert ([os.fstat(number).st_ino for number in range(3)], (sys.stdin, sys.stdout, sys.stderr)) == before
