"""A volume on the network: a file exported by qemu-nbd, on a loopback port or a unix socket."""

import signal
import socket
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.rig.places import free_port
from tests.rig.processes import Keeper, Program, wait_until


class NbdExport:
    """`disk`, a file of the given format, as an NBD export called `name`."""

    def __init__(
        self, directory: Path, disk: Path, *, image_format: str = "raw", name: str = "volume", unix: bool = False
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory.resolve()
        self._keeper = Keeper(self._directory)
        self._disk = disk.resolve()
        self._format = image_format
        self.name = name
        self.host = "127.0.0.1"
        self.port = None if unix else free_port()
        self.socket = self._directory / "nbd.sock" if unix else None

    @property
    def log(self) -> Path:
        return self._directory / "qemu-nbd.log"

    @property
    def running(self) -> bool:
        return self._keeper.alive and self._keeper.pid("qemu-nbd") is not None

    def start(self) -> None:
        if not self._keeper.alive:
            self._keeper.launch({"qemu-nbd": Program(self._argv(), str(self.log))})
        self._keeper.start("qemu-nbd")
        wait_until(self._accepts, "qemu-nbd", 60, alive=lambda: self.running, log=self.log)
        if self.socket:
            self.socket.chmod(0o666)  # QEMU comes as another user

    def kill(self) -> None:
        """As a storage node that fails; `start` brings the same export back."""
        self._keeper.stop("qemu-nbd", signal.SIGKILL)

    def stop(self) -> None:
        self._keeper.end()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _argv(self) -> list[str]:
        place = [f"--socket={self.socket}"] if self.socket else [f"--bind={self.host}", f"--port={self.port}"]
        # Persistent, and for several clients: a guest that reattaches, and a look from outside.
        return [
            *("qemu-nbd", "--persistent", "--shared=8", f"--export-name={self.name}"),
            *(f"--format={self._format}", *place, str(self._disk)),
        ]

    def _accepts(self) -> bool:
        family = socket.AF_UNIX if self.socket else socket.AF_INET
        with socket.socket(family) as connection:
            try:
                connection.connect(str(self.socket) if self.socket else (self.host, self.port))
            except OSError:
                return False
            return True
