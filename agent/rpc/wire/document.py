"""Bytes of a request -> JSON object, or InvalidRequest. What all formats share, before they differ."""

from __future__ import annotations

from typing import Any

from pydantic_core import from_json

from agent.errors import InvalidRequest
from agent.rpc.breadth import MOST_VALUES, too_broad
from agent.rpc.message import Properties
from agent.rpc.schema.envelope import CONTENT_TYPE, PLACEHOLDER

_ENCODINGS = (None, "", "utf-8", "UTF-8")
_SHOWN = 64  # characters of what a caller sent that are shown to it again


def load(body: bytes | str, *, max_bytes: int, where: str = "(body)") -> dict[str, Any]:
    """The body as an object. Raises InvalidRequest; nothing of the body is in its text.

    The parser refuses NaN, bad UTF-8 and nesting deeper than 200, so what follows may recurse.
    """
    if len(body) > max_bytes:
        raise InvalidRequest.field(
            where, f"has {len(body)} bytes", f"send at most {max_bytes}; large data travels by URL"
        )
    if (PLACEHOLDER in body) if isinstance(body, str) else (PLACEHOLDER.encode() in body):
        raise InvalidRequest.field(
            where, f"still holds {PLACEHOLDER!r}", "fill in the secrets that were removed from it"
        )
    try:
        document = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise InvalidRequest.field(where, f"isn't JSON: {error}", "send an object in UTF-8") from None
    if not isinstance(document, dict):
        raise InvalidRequest.field(where, f"is {kind(document)}", "send an object")
    if too_broad(document):
        raise InvalidRequest.field(
            where, f"holds more than {MOST_VALUES} values", "send fewer; large data travels by URL"
        )
    return document


def mislabelled(properties: Properties) -> InvalidRequest | None:
    """What is wrong with what the message says its body is."""
    if "compression" in properties.headers:
        return InvalidRequest.field(
            "headers.compression", "compressed bodies aren't read", "send it as it is (kombu_compression off)"
        )
    if _plain(properties.content_type) != CONTENT_TYPE:
        return InvalidRequest.field("content_type", _shown(properties.content_type), f"send {CONTENT_TYPE}")
    if properties.content_encoding not in _ENCODINGS:
        return InvalidRequest.field("content_encoding", _shown(properties.content_encoding), "send utf-8")
    return None


def kind(value: object) -> str:
    """What JSON calls it, with its article."""
    names: dict[type, str] = {
        dict: "an object",
        list: "an array",
        str: "a string",
        bool: "a boolean",
        int: "a number",
        float: "a number",
    }
    return names.get(type(value), "null")


def _plain(content_type: str | None) -> str | None:
    """Without parameters such as `; charset=utf-8`."""
    return None if content_type is None else content_type.partition(";")[0].strip().lower()


def _shown(value: str | None) -> str:
    return "is missing" if not value else f"is {value[:_SHOWN]!r}"
