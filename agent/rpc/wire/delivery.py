"""What a request's AMQP properties say in every format: whose it is, and until when it is worth doing. Pure."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from urllib.parse import quote

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from agent.errors import InvalidRequest
from agent.rpc.message import Properties
from agent.rpc.schema.envelope import DEADLINE, LONGEST_IDENTITY

_TIME = TypeAdapter(datetime)


def scope(properties: Properties) -> str:
    """Whose identities they are. The broker vouches for `user_id`, so nobody can take another's answers."""
    return f"{quote(properties.user_id or '', safe='')}/{quote(properties.app_id or '', safe='')}"


def identity(given: str | None, field: str) -> str | None:
    """Raises InvalidRequest for one that is too long to be kept."""
    if given and len(given) > LONGEST_IDENTITY:
        raise InvalidRequest.field(field, "is too long", f"at most {LONGEST_IDENTITY} characters")
    return given or None


def deadline(properties: Properties, now: datetime) -> datetime | None:
    """The earlier of the header and the message's expiration, which counts from when it was sent."""
    ends = []
    if (header := properties.headers.get(DEADLINE)) is not None:
        ends.append(_time(header))
    if properties.expiration is not None:
        sent = properties.timestamp or now
        # A clock that is ahead must not lengthen it. What ends beyond the calendar doesn't end.
        with suppress(OverflowError):
            ends.append(min(sent, now) + timedelta(seconds=properties.expiration))
    return min(ends, default=None)


def _time(header: object) -> datetime:
    mend = "send RFC 3339 with an offset, as in 2030-01-31T12:00:00Z"
    if not isinstance(header, str):
        raise InvalidRequest.field(f"headers.{DEADLINE}", "isn't a string", mend)
    try:
        time = _TIME.validate_json(to_json(header), strict=True)
    except ValidationError:
        raise InvalidRequest.field(f"headers.{DEADLINE}", "isn't a time", mend) from None
    if time.tzinfo is None:
        raise InvalidRequest.field(f"headers.{DEADLINE}", "has no offset", mend)
    return time
