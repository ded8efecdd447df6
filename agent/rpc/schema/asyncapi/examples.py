"""Messages as they were on the wire, one or more for each: `tests/asyncapi/record.py` writes them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

Example = Mapping[str, Any]


def examples_of(message: str) -> Sequence[Example]:
    """Each with `name`, `payload` and sometimes `headers`."""
    return _recorded().get(message, ())


@cache
def _recorded() -> Mapping[str, Sequence[Example]]:
    recorded: Mapping[str, Sequence[Example]] = json.loads(Path(__file__).with_name("examples.json").read_text())
    return recorded
