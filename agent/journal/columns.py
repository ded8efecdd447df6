"""How values become columns and come back: times are integers, JSON is compact text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic_core import to_json

from agent.journal.records import Address

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def from_time(moment: datetime) -> int:
    """Microseconds since the epoch. Raises ValueError for a time without a zone: it could mean anything."""
    if moment.tzinfo is None:
        raise ValueError("a time in the journal needs a zone")
    return (moment - EPOCH) // MICROSECOND


def to_time(column: int) -> datetime:
    return EPOCH + column * MICROSECOND


def from_optional_time(moment: datetime | None) -> int | None:
    return None if moment is None else from_time(moment)


def to_optional_time(column: int | None) -> datetime | None:
    return None if column is None else to_time(column)


def from_data(data: Mapping[str, Any]) -> str:
    """Raises PydanticSerializationError for what isn't JSON; a Secret isn't, on purpose."""
    return to_json(data).decode()


def from_address(address: Address) -> str:
    """Equal addresses give equal text: that is how a repeated one is recognised."""
    return json.dumps(address.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
