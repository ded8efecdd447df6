"""Arguments -> params of a method, or an error that names each field and how to mend it.

What a caller sent is never repeated to it: a refused value may be a secret in the wrong place. Names of
fields are, shortened.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, to_json

from agent.errors import InvalidRequest
from agent.rpc.schema import Method
from agent.rpc.schema.base import Message
from agent.rpc.shape import Place, Shape, locate, shape_of

_MOST = 20  # fields told of at once


def validate(method: Method, args: dict[str, Any]) -> Message:
    """The params of `method`. Raises InvalidRequest with `details.fields`: path, problem and mend of each."""
    try:
        # As JSON, so that a caller's arguments mean the same here as in the published JSON schema.
        return method.params.model_validate_json(to_json(args, inf_nan_mode="constants"))
    except ValidationError as error:
        raise refusal(method.params, error) from None


def refusal(model: type[BaseModel], error: ValidationError) -> InvalidRequest:
    """What pydantic found, in the words of the contract."""
    found = error.errors(include_url=False, include_input=False)
    fields = [_field(shape_of(model), details) for details in found[:_MOST]]
    first = fields[0]
    message = f"{first['path']}: {first['problem']}; {first['mend']}"
    if len(found) > 1:
        message += f" (and {len(found) - 1} more, see details.fields)"
    return InvalidRequest(message, details={"fields": fields})


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The name that was probably meant."""
    return next(iter(difflib.get_close_matches(name, list(names), n=1, cutoff=0.6)), None)


def _field(top: Shape, details: ErrorDetails) -> dict[str, str]:
    place = locate(top, details["loc"])
    if place.shape.secret:
        # pydantic's own text may quote the value.
        problem, mend = "isn't right for a secret", "send a string"
    if details["type"] == "missing" or not place.shape.secret:
        problem, mend = _SAYINGS.get(details["type"], _generic)(details, place)
    return {"path": place.path, "problem": problem, "mend": mend}


def _missing(details: ErrorDetails, place: Place) -> tuple[str, str]:
    return "is missing", "it is required"


def _unknown(details: ErrorDetails, place: Place) -> tuple[str, str]:
    names = sorted(place.parent.fields) or sorted(_fields_of_variants(place.parent))
    meant = nearest(str(details["loc"][-1]), names)
    return "no such field", f"did you mean {meant!r}?" if meant else f"known here: {', '.join(names)}"


def _fields_of_variants(shape: Shape) -> set[str]:
    return {name for variant in shape.variants.values() for name in variant.fields}


def _choice(details: ErrorDetails, place: Place) -> tuple[str, str]:
    return "isn't one of the choices", f"send {details['ctx']['expected']}"


def _no_tag(details: ErrorDetails, place: Place) -> tuple[str, str]:
    tag, tags = place.shape.tag, ", ".join(map(repr, place.shape.variants))
    return f"has no {tag!r}", f"set {tag!r} to one of {tags}"


def _bad_tag(details: ErrorDetails, place: Place) -> tuple[str, str]:
    tag, tags = place.shape.tag, ", ".join(map(repr, place.shape.variants))
    return f"its {tag!r} isn't known", f"set {tag!r} to one of {tags}"


def _pattern(details: ErrorDetails, place: Place) -> tuple[str, str]:
    return "has another form", f"it must match {details['ctx']['pattern']}"


def _generic(details: ErrorDetails, place: Place) -> tuple[str, str]:
    """pydantic's text says what would be right; for these types it quotes nothing."""
    if details["type"] in _QUOTING:
        return "isn't valid", f"send {_QUOTING[details['type']]}"
    text = details["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return "isn't valid", text[:1].lower() + text[1:]


_QUOTING = {
    "uuid_parsing": "a UUID, as in 0f0e0d0c-0b0a-4908-8706-050403020100",
    "uuid_type": "a UUID, as in 0f0e0d0c-0b0a-4908-8706-050403020100",
    "datetime_parsing": "a time with an offset, as in 2030-01-31T12:00:00Z",
    "datetime_from_date_parsing": "a time with an offset, as in 2030-01-31T12:00:00Z",
    "json_invalid": "valid JSON",
}
"""Types whose text quotes the input, with what to send instead."""

_SAYINGS: dict[str, Callable[[ErrorDetails, Place], tuple[str, str]]] = {
    "missing": _missing,
    "extra_forbidden": _unknown,
    "literal_error": _choice,
    "union_tag_not_found": _no_tag,
    "union_tag_invalid": _bad_tag,
    "string_pattern_mismatch": _pattern,
}
