"""What systemd hears of a daemon: the datagrams to $NOTIFY_SOCKET, with when they came."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

WATCHDOG = "WATCHDOG=1"


class Systemd:
    """Listens from its making until `close`, in a thread of its own. Times are monotonic seconds."""

    def __init__(self, address: Path) -> None:
        address.unlink(missing_ok=True)
        self.address = address
        self.told: list[tuple[float, str]] = []
        self.ready = threading.Event()
        self._closed = False
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(address))
        self._socket.settimeout(0.2)
        self._thread = threading.Thread(target=self._listen, name="systemd")
        self._thread.start()

    def close(self) -> None:
        self._closed = True
        self._thread.join()
        self._socket.close()

    @property
    def status(self) -> str:
        """The last status line."""
        lines = [line.removeprefix("STATUS=") for _, line in self.told.copy() if line.startswith("STATUS=")]
        return lines[-1] if lines else ""

    @property
    def fed(self) -> float:
        """When it last heard that the agent is well; 0 before that."""
        return max((at for at, line in self.told.copy() if line == WATCHDOG), default=0.0)

    def mark(self) -> str:
        """Say something of our own: once it is `heard`, so is all that was told before."""
        mark = f"MARK={time.monotonic()}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as teller:
            teller.sendto(mark.encode(), str(self.address))
        return mark

    def heard(self, said: str) -> bool:
        return any(line == said for _, line in self.told.copy())

    def _listen(self) -> None:
        while True:
            try:
                message = self._socket.recv(4096).decode()
            except TimeoutError:
                if self._closed:  # and all that was told before is heard
                    return
                continue
            self.told += [(time.monotonic(), line) for line in message.splitlines()]
            if "READY=1" in message.splitlines():
                self.ready.set()
