"""A model's fields in words, from its JSON schema: what `document` makes its tables of. Pure.

{"anyOf": [{"type": "integer", "minimum": 1, "maximum": 64}, {"type": "null"}]}  ->  integer, 1 to 64
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args

from pydantic import BaseModel, StringConstraints

from agent.docstrings import Described
from agent.rpc.schema import base, instance

Schema = dict[str, Any]

NAMED: dict[str, tuple[Any, str]] = {
    "text": (base.Text, "one line of at most 255 printable characters"),
    "name": (base.Name, "letters, digits, `.`, `_`, `-`; at most 64, the first a letter or digit"),
    "identifier": (base.Identifier, "letters, digits, `_`, `-`; at most 64, the first a letter or digit"),
    "device name": (base.DeviceName, "letters, digits, `.`, `_`, `-`; at most 15, as Linux has it"),
    "MAC address": (base.MacAddress, "six hex pairs with colons, of one card and not of a group"),
    "path": (instance.Path, "an absolute path of at most 1024 characters"),
    "drive name": (instance.Device, "such as `vdb`, `sda` or `/dev/hdc`"),
    "URL": (instance.Url, "`http://`, `https://`, `file:///` or an absolute path"),
    "checksum": (instance.Checksum, "`sha256:` or `sha512:` and the digest in hex"),
}
"""Kinds of text with a name of their own: the type in the schema, and what it takes."""

_FORMATS = {
    "uuid": "UUID",
    "date-time": "time with offset (RFC 3339)",
    "password": "text, secret",
    "ipvanyaddress": "IP address",
    "ipvanynetwork": "network (CIDR)",
    "ipvanyinterface": "IP address with prefix length",
}
_TYPES = {
    "integer": "integer",
    "number": "number",
    "string": "text",
    "boolean": "true or false",
    "object": "object",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One field. `refers`: names of the models that its type names."""

    name: str
    type: str
    default: str
    meaning: str
    refers: tuple[str, ...]


def rows(model: type[BaseModel]) -> Iterator[Row]:
    """The fields that `model` itself adds to the class it is made from."""
    schema = model.model_json_schema(mode="serialization", schema_generator=Described)
    top = schema["$defs"][model.__name__] if "$ref" in schema else schema
    own = vars(model).get("__annotations__", {})
    for name, field in top.get("properties", {}).items():
        if name in own:
            yield Row(name, words(field), _default(model, name), _meaning(field), tuple(_refers(field)))


def all_rows(model: type[BaseModel]) -> Iterator[Row]:
    """Those of the classes that it is made from, too."""
    for above in model.__mro__:
        if above is not BaseModel and issubclass(above, BaseModel):
            yield from rows(above)


def parent(model: type[BaseModel]) -> type[BaseModel]:
    above = model.__mro__[1]
    assert issubclass(above, BaseModel)  # noqa: S101 - models have one parent
    return above


def words(field: Schema) -> str:
    """What may stand there."""
    for key, say in _SAYINGS.items():
        if key in field:
            return say(field)
    return "anything"


def link(name: str) -> str:
    return f"[{name}](#{name.lower()})"


def _choice(kinds: list[Schema]) -> str:
    return " or ".join(words(kind) for kind in kinds if kind.get("type") != "null")


def _typed(field: Schema) -> str:
    return {"string": _string, "array": _array, "object": _object}.get(field["type"], _number)(field)


def _string(field: Schema) -> str:
    pattern = field.get("pattern")
    if pattern is None:
        longest = f", at most {field['maxLength']} characters" if "maxLength" in field else ""
        return _FORMATS.get(field.get("format", ""), "text") + longest
    return _names_of_patterns().get(pattern, f"text matching `{pattern}`")


def _array(field: Schema) -> str:
    most = f", at most {field['maxItems']}" if "maxItems" in field else ""
    return f"list of {words(field['items'])}{most}"


def _object(field: Schema) -> str:
    inner = field.get("additionalProperties", field.get("patternProperties"))
    if not isinstance(inner, dict):
        return "object"
    value = next(iter(inner.values())) if "patternProperties" in field else inner
    return f"object of {words(value)}"


def _number(field: Schema) -> str:
    low, high = field.get("minimum"), field.get("maximum")
    bounds = "" if low is None else f", at least {low:g}" if high is None else f", {low:g} to {high:.12g}"
    return _TYPES[field["type"]] + bounds


_SAYINGS: dict[str, Callable[[Schema], str]] = {
    "$ref": lambda field: link(field["$ref"].rpartition("/")[2]),
    "const": lambda field: f"`{field['const']}`",
    "enum": lambda field: " or ".join(f"`{value}`" for value in field["enum"]),
    "oneOf": lambda field: _choice(field["oneOf"]),
    "anyOf": lambda field: _choice(field["anyOf"]),
    "allOf": lambda field: _choice(field["allOf"]),
    "type": _typed,
}
"""The first key that is there decides."""


def _default(model: type[BaseModel], name: str) -> str:
    field = model.model_fields[name]
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, BaseModel):
        return "its defaults"
    if value is None or value in ((), {}, ""):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _meaning(field: Schema) -> str:
    return " ".join(str(field.get("description", "")).split())


def _refers(field: Any) -> Iterator[str]:
    if isinstance(field, dict):
        if "$ref" in field:
            yield field["$ref"].rpartition("/")[2]
        for key, value in field.items():
            # A discriminator's mapping names the same models once more.
            if key != "discriminator":
                yield from _refers(value)
    elif isinstance(field, list):
        for item in field:
            yield from _refers(item)


@cache
def _names_of_patterns() -> dict[str, str]:
    return {_pattern(kind): name for name, (kind, _) in NAMED.items()}


def _pattern(kind: Any) -> str:
    (constraints,) = (part for part in get_args(kind) if isinstance(part, StringConstraints))
    return str(constraints.pattern)
