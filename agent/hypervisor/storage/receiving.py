"""An image as it comes in: hashed, bounded, and written without its holes."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from agent.errors import InvalidRequest

ZEROES = bytes(1024 * 1024)


class Receiving:
    """Writes a new file and hashes what passes. Blocking. `algorithm`: `sha256`, `sha512` or None."""

    def __init__(self, path: Path, algorithm: str | None, max_bytes: int) -> None:
        self._file = path.open("xb", buffering=0)
        self._hash = hashlib.new(algorithm) if algorithm else None
        self._max_bytes = max_bytes
        self.size = 0

    def write(self, chunk: bytes) -> None:
        """Raises InvalidRequest past the bound, OSError."""
        self.size += len(chunk)
        if self.size > self._max_bytes:
            raise too_large(self._max_bytes)
        if self._hash is not None:
            self._hash.update(chunk)
        if chunk == ZEROES[: len(chunk)]:
            self._file.seek(len(chunk), os.SEEK_CUR)  # a hole: takes no room, reads as zeroes
            return
        rest = memoryview(chunk)
        while rest:
            rest = rest[self._file.write(rest) :]

    def finish(self) -> str | None:
        """Write it through to the disk; returns the hex digest."""
        self._file.truncate(self.size)
        os.fsync(self._file.fileno())
        return self._hash.hexdigest() if self._hash is not None else None

    def close(self) -> None:
        self._file.close()


def too_large(max_bytes: int) -> InvalidRequest:
    return InvalidRequest.field(
        "image.url", f"larger than the {max_bytes} bytes this host accepts", "use a smaller image"
    )
