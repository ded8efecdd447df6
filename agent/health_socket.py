"""Asks an agent on this host how it is, through its socket. Standard library only, as the command line has it."""

from __future__ import annotations

import http.client
import os
import socket
from pathlib import Path

from agent.health import SOCKET, Health


class _Unix(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        # A socket's address holds 107 bytes, less than a path may have.
        directory = os.open(self._path.parent, os.O_PATH | os.O_DIRECTORY)
        try:
            self.sock.connect(f"/proc/self/fd/{directory}/{self._path.name}")
        finally:
            os.close(directory)


def page(state_dir: Path, name: str, timeout: float = 5.0) -> tuple[int, str]:
    """Status and text of a page, as `/healthz`. Raises OSError (no agent runs there, no right to its socket, no
    answer within `timeout` seconds) and http.client.HTTPException (it is no agent that answers)."""
    connection = _Unix(state_dir / SOCKET, timeout)
    try:
        connection.request("GET", name)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def ask(state_dir: Path, timeout: float = 5.0) -> Health:
    """Everything. Raises what `page` raises, and ValueError for an answer that isn't a Health."""
    _, text = page(state_dir, "/health", timeout)
    return Health.model_validate_json(text)
