"""Which paths of this host a request may name, and what a URL may look like in an error.

Every path of a request, for an image, a volume or a socket, passes `AllowedPaths.resolve` before anything
touches it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from agent.errors import InvalidRequest


class AllowedPaths:
    """The directories in which images and volumes named by a path may lie."""

    def __init__(self, directories: Iterable[Path]) -> None:
        self._directories = tuple(directory.resolve() for directory in directories)

    def resolve(self, path: Path, field: str) -> Path:
        """The path with all links followed. Blocking.

        Links are followed before the check, so a link in an allowed directory leads nowhere else. What is
        used afterwards is the result, not the name: it can't be turned round in between.

        Raises InvalidRequest for a path that is relative or lies elsewhere.
        """
        if not path.is_absolute():
            raise InvalidRequest.field(field, "not an absolute path", "begin it with /")
        try:
            real = path.resolve()
        except (OSError, RuntimeError):  # RuntimeError: a loop of links
            raise InvalidRequest.field(field, "can't be followed", "name the file itself") from None
        if not any(real.is_relative_to(directory) for directory in self._directories):
            raise InvalidRequest.field(field, "outside the directories that this host allows", self._advice())
        return real

    def _advice(self) -> str:
        if not self._directories:
            return "this host allows none: see storage.allowed_directories"
        return "use one of " + ", ".join(str(directory) for directory in self._directories)


def shown(url: str) -> str:
    """A URL for errors and logs: without user, password, query and fragment, where credentials travel."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "(unreadable URL)"
    if not parts.scheme:
        return parts.path
    return f"{parts.scheme}://{host}{port}{parts.path}"
