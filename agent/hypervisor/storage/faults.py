"""What the operating system's errors mean to a caller: one table for all of `storage`."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from agent.errors import AgentError, NoCapacity, Unavailable

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
FULL_TEXTS = ("No space left on device", "Disk quota exceeded")


def from_os_error(error: OSError, doing: str) -> AgentError:
    """NoCapacity for a full disk, Unavailable for everything else."""
    if error.errno in FULL:
        return NoCapacity(f"{doing}: no space left", details={"resource": "disk"})
    return Unavailable(f"{doing}: {error.strerror or type(error).__name__}")


def says_full(text: str) -> bool:
    """Whether a program's last words (in the C locale) are about a full disk."""
    return any(full in text for full in FULL_TEXTS)


@contextmanager
def faults_as_errors(doing: str) -> Iterator[None]:
    """Turn an OSError inside into what a caller can act on."""
    try:
        yield
    except OSError as error:
        raise from_os_error(error, doing) from error
