"""A real `compute-agent` process, as systemd would run it: readiness by sd_notify, stop by SIGTERM."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from tests.e2e.systemd import Systemd


class Daemon:
    """`with Daemon(...)`: ready on entry, gone on exit whatever happened."""

    def __init__(self, directory: Path, host: str, environment: Mapping[str, str]) -> None:
        self.directory = directory
        self.directory.mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o755)
        # Its own and empty, so that the box's settings don't matter.
        (directory / "agent.toml").touch()
        self.host = host
        self.state_dir = directory / "state"
        self.log = directory / "agent.log"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("COMPUTE_AGENT_")},
            "COMPUTE_AGENT_CONFIG": str(directory / "agent.toml"),
            "COMPUTE_AGENT_HOST": host,
            "COMPUTE_AGENT_STATE_DIR": str(self.state_dir),
            "PYTHONWARNINGS": "error::ResourceWarning",
            **environment,
        }
        self.command = [sys.executable, "-m", "agent"]
        self.systemd: Systemd | None = None
        """What the present process, or the last one, tells its manager."""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self, wait: float = 60.0) -> None:
        """Returns when it is ready."""
        self.begin()
        assert self._process is not None
        assert self.systemd is not None
        end = time.monotonic() + wait
        while time.monotonic() < end:
            if self.systemd.ready.wait(0.1):
                return
            if (status := self._process.poll()) is not None:
                self._gone()
                raise RuntimeError(f"the agent ended with {status}:\n{self.tail()}")
        self.kill()
        raise RuntimeError(f"the agent isn't ready after {wait} s:\n{self.tail()}")

    def begin(self) -> None:
        """Returns at once."""
        self.systemd = Systemd(self.directory / "notify")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                env={**self.environment, "NOTIFY_SOCKET": str(self.systemd.address)},
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )

    def stop(self, wait: float = 60.0) -> int:
        """SIGTERM, as `systemctl stop`; the exit status."""
        return self._end(signal.SIGTERM, wait)

    def kill(self) -> None:
        self._end(signal.SIGKILL, 10)

    def died(self, wait: float = 60.0) -> int:
        """The status of an end that somebody else arranged; a negative one is a signal."""
        assert self._process is not None
        status = self._process.wait(wait)
        self._gone()
        return status

    def tail(self, lines: int = 40) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def lines(self) -> list[dict[str, Any]]:
        """The log, one object a line; a line that isn't JSON is an error of its own. The last one may be half
        written."""
        whole = self.log.read_text().rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines() if line.strip()]

    def _end(self, number: signal.Signals, wait: float) -> int:
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.send_signal(number)
        try:
            status = self._process.wait(wait)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
            self._gone()
            raise
        self._gone()
        return status

    def _gone(self) -> None:
        self._process = None
        if self.systemd is not None:
            self.systemd.close()
            self.systemd = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
