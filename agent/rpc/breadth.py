"""Whether a document holds more values than a request needs. Pure.

Each value of a request is looked at several times (validation, redaction, the journal's fingerprint), and all
other requests wait meanwhile. So their number is bounded beside the number of bytes, before any of that is begun.
"""

from __future__ import annotations

from typing import Any, Final

MOST_VALUES: Final = 10_000
"""Members of objects and elements of arrays, at all depths together."""


def too_broad(document: dict[str, Any]) -> bool:
    """Stops counting at the bound, so that asking costs next to nothing too."""
    seen = 0
    waiting: list[dict[str, Any] | list[Any]] = [document]
    while waiting:
        here = waiting.pop()
        seen += len(here)
        if seen > MOST_VALUES:
            return True
        values = here.values() if isinstance(here, dict) else here
        waiting += [value for value in values if isinstance(value, (dict, list))]
    return False
