"""What a request is about, by its arguments. Pure."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import cache
from operator import attrgetter
from typing import Any
from uuid import UUID

from agent.rpc.schema.base import Message

_UUID_OF: dict[str, Callable[[Any], UUID | None]] = {
    "instance_uuid": attrgetter("instance_uuid"),
    "instance": attrgetter("instance.uuid"),
}


def instance_of(params: Message) -> UUID | None:
    """The instance, if one is named."""
    uuid_of = _getter(type(params))
    return None if uuid_of is None else uuid_of(params)


def order_key(params: Message) -> Hashable:
    """Requests on one instance have one key, those on one operation too; others go by themselves."""
    return instance_of(params) or getattr(params, "operation_id", None) or object()


@cache
def _getter(kind: type[Message]) -> Callable[[Any], UUID | None] | None:
    return next((uuid_of for name, uuid_of in _UUID_OF.items() if name in kind.model_fields), None)
