"""What of a later AsyncAPI document breaks who was made for an earlier one. Pure: two documents -> list of breaks.

The direction decides. What callers send must be taken as before: all that was valid then is valid now. What agents
send must be understood as before: all that is valid now was valid then, but for new fields, which readers ignore.

    requests: callers send                    results, errors, events: agents send
    --------------------------------------    --------------------------------------
    a field is required that wasn't           a field may be missing that was there
    a type, an enum, a bound is narrower      a type, an enum, a bound is wider
    a field is gone                           a field is gone
    a default is another                      (no default stands for what isn't sent)
    an object takes no further fields         -

In both, a message, a channel, an operation or an error code that is gone is a break, and so is one that moved:
another address, another exchange, another `retryable`. Words, examples and whatever is added are not.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from math import inf
from typing import Any

Schema = Mapping[str, Any]
Document = Mapping[str, Any]


@dataclass(frozen=True, order=True, slots=True)
class Break:
    """`where`: message and field; `what`: what changed; `why` that is a break."""

    where: str
    what: str
    why: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}; {self.why}"


class Direction(Enum):
    """Who sends it. The value: why it is a break when the other side isn't prepared."""

    REQUEST = "what callers made for the earlier version send is refused"
    ANSWER = "callers made for the earlier version get what they aren't prepared for"


GONE = "callers made for the earlier version use it"


def breaks(old: Document, new: Document) -> list[Break]:
    """All of them, in order. Raises ValueError for a schema with a keyword that isn't known here."""
    return sorted({*_messages(old, new), *_channels(old, new), *_operations(old, new)})


def schema_breaks(old: Schema, new: Schema, direction: Direction, where: str = "") -> list[Break]:
    """Of two schemas without references to elsewhere than their own `definitions`."""
    return list(_Pair(_Known(old), _Known(new), direction).compare(old, new, where))


def _messages(old: Document, new: Document) -> Iterator[Break]:
    received = _received(old)
    before, now = (document["components"]["messages"] for document in (old, new))
    for name, message in before.items():
        if name not in now:
            yield Break(name, "the message is gone", GONE)
            continue
        pair = _Pair(_Known(old), _Known(new), Direction.REQUEST if name in received else Direction.ANSWER)
        yield from _same(name, message, now[name], ("contentType",))
        yield from pair.compare(message["payload"], now[name]["payload"], name)
        yield from pair.compare(message.get("headers", {}), now[name].get("headers", {}), f"{name} (headers)")
        yield from _error_codes(name, message.get("x-error-codes", {}), now[name].get("x-error-codes", {}))


def _error_codes(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Break]:
    for code, facts in old.items():
        if code not in new:
            yield Break(f"{name} {code}", "the code is gone", GONE)
        else:
            yield from _same(f"{name} {code}", facts, new[code], ("retryable",))


def _received(document: Document) -> set[str]:
    """The messages that agents receive."""
    operations = [one for one in document["operations"].values() if one["action"] == "receive"]
    return {_last(message) for one in operations for message in one["messages"]}


def _channels(old: Document, new: Document) -> Iterator[Break]:
    for name, channel in old["channels"].items():
        where, now = f"channel {name}", new["channels"].get(name)
        if now is None:
            yield Break(where, "the channel is gone", GONE)
            continue
        yield from _same(where, channel, now, ("address",))
        yield from _same(where, channel["bindings"]["amqp"], now["bindings"]["amqp"], ("is", "exchange"))
        for message in channel["messages"].keys() - now["messages"].keys():
            yield Break(where, f"the message {message} is gone from it", GONE)


def _operations(old: Document, new: Document) -> Iterator[Break]:
    for name, operation in old["operations"].items():
        where, now = f"operation {name}", new["operations"].get(name)
        if now is None:
            yield Break(where, "the operation is gone", GONE)
            continue
        yield from _same(where, operation, now, ("action", "channel"))
        missing = {_last(one) for one in operation["messages"]} - {_last(one) for one in now["messages"]}
        yield from (Break(where, f"the message {one} is gone from it", GONE) for one in missing)


def _same(where: str, old: Mapping[str, Any], new: Mapping[str, Any], keys: Iterable[str]) -> Iterator[Break]:
    for key in keys:
        if old.get(key) != new.get(key):
            yield Break(where, f"{key} was {_shown(old.get(key))}, is {_shown(new.get(key))}", GONE)


def _last(reference: Mapping[str, str]) -> str:
    return reference["$ref"].rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class _Known:
    """A document, to look references up in."""

    document: Document

    def resolved(self, schema: Schema) -> Schema:
        """Without `$ref`, and without the `allOf` that holds one beside other words."""
        while "$ref" in schema or "allOf" in schema:
            if "$ref" in schema:
                schema = self._at(schema["$ref"])
            else:
                (inner,) = schema["allOf"]
                schema = {**self.resolved(inner), **{key: schema[key] for key in schema if key != "allOf"}}
        return schema

    def _at(self, reference: str) -> Schema:
        here: Any = self.document
        for step in reference.removeprefix("#/").split("/"):
            here = here[step]
        found: Schema = here
        return found

    def kinds(self, schema: Schema) -> list[Schema]:
        """What it may be, when it may be several things."""
        several = schema.get("anyOf") or schema.get("oneOf")
        return [self.resolved(kind) for kind in several] if several else [schema]


_TYPES = {"integer": {"integer"}, "number": {"integer", "number"}}
_LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_EXACT = ("pattern", "format", "multipleOf", "uniqueItems", "propertyNames", "contentEncoding")
_KNOWN = {
    *_LOWER,
    *_UPPER,
    *_EXACT,
    *("type", "enum", "const", "default", "anyOf", "oneOf", "items"),
    *("properties", "required", "additionalProperties", "patternProperties"),
    *("title", "description", "examples", "writeOnly", "definitions", "$schema"),
}


@dataclass(frozen=True, slots=True)
class _Pair:
    """The narrower side must lie within the wider one: for requests the old in the new, for answers the new in the
    old."""

    old: _Known
    new: _Known
    direction: Direction

    def compare(self, old: Schema, new: Schema, where: str) -> Iterator[Break]:
        old, new = self.old.resolved(old), self.new.resolved(new)
        for schema in (old, new):
            if unknown := schema.keys() - _KNOWN:
                raise ValueError(f"{where}: {', '.join(sorted(unknown))} can't be compared yet: teach it here")
        yield from self._default(old, new, where)
        before, now = self.old.kinds(old), self.new.kinds(new)
        if len(before) == len(now) == 1:
            yield from self._one(before[0], now[0], where)
        else:
            yield from self._several(before, now, where)

    def _several(self, before: list[Schema], now: list[Schema], where: str) -> Iterator[Break]:
        """Each kind of the narrower side fits into one of the wider side."""
        asked, offered = self._sides(before, now)
        for kind in asked:
            like = [other for other in offered if _label(other) == _label(kind)]
            if not like:
                said = "isn't taken any more" if self.direction is Direction.REQUEST else "is new there"
                yield Break(where, f"{_label(kind)} {said}", self.direction.value)
                continue
            tries = [list(self._one(*self._sides(kind, other), where)) for other in like]
            yield from min(tries, key=len)

    def _one(self, old: Schema, new: Schema, where: str) -> Iterator[Break]:
        yield from self._keywords(old, new, where)
        yield from self._fields(old, new, where)
        for keyword in ("items", "additionalProperties"):
            yield from self._inner(keyword, old.get(keyword, {}), new.get(keyword, {}), where)
        yield from self._patterns(old.get("patternProperties", {}), new.get("patternProperties", {}), where)

    def _keywords(self, old: Schema, new: Schema, where: str) -> Iterator[Break]:
        narrow, wide = self._sides(old, new)
        wider = (
            *(key for key in _LOWER if narrow.get(key, -inf) < wide.get(key, -inf)),
            *(key for key in _UPPER if narrow.get(key, inf) > wide.get(key, inf)),
            *(key for key in _EXACT if key in wide and narrow.get(key) != wide[key]),
            *([] if _within(_types(narrow), _types(wide)) else ["type"]),
        )
        for key in wider:
            yield self._changed(where, key, old.get(key), new.get(key))
        if not _within(_values(narrow), _values(wide)):
            yield self._changed(where, "what it may be", _values(old), _values(new))

    def _fields(self, old: Schema, new: Schema, where: str) -> Iterator[Break]:
        before, now = old.get("properties", {}), new.get("properties", {})
        for name in before:
            if name not in now:
                yield Break(_inside(where, name), "the field is gone", GONE)
            else:
                yield from self.compare(before[name], now[name], _inside(where, name))
        narrow, wide = self._sides(old, new)
        said = "is required now" if self.direction is Direction.REQUEST else "may be missing now"
        for name in sorted(set(wide.get("required", ())) - set(narrow.get("required", ()))):
            if self.direction is Direction.REQUEST or name in now:
                yield Break(_inside(where, name), f"the field {said}", self.direction.value)

    def _inner(self, keyword: str, old: Any, new: Any, where: str) -> Iterator[Break]:
        """A schema inside, or true or false for anything or nothing."""
        narrow, wide = self._sides(old, new)
        if wide in ({}, True) or narrow is False:
            return
        if wide is False or narrow in ({}, True):
            yield self._changed(where, keyword, old, new)
        else:
            yield from self.compare(old, new, f"{where}[]")

    def _patterns(self, old: Schema, new: Schema, where: str) -> Iterator[Break]:
        if old.keys() != new.keys():
            yield self._changed(where, "patternProperties", sorted(old), sorted(new))
            return
        for key in old:
            yield from self.compare(old[key], new[key], f"{where}[]")

    def _default(self, old: Schema, new: Schema, where: str) -> Iterator[Break]:
        if self.direction is Direction.REQUEST and old.get("default") != new.get("default"):
            what = f"default was {_shown(old.get('default'))}, is {_shown(new.get('default'))}"
            yield Break(where, what, "callers that leave it out get something else")

    def _sides(self, old: Any, new: Any) -> tuple[Any, Any]:
        """The side that must lie within the other, and the other. Its own inverse."""
        return (old, new) if self.direction is Direction.REQUEST else (new, old)

    def _changed(self, where: str, key: str, old: Any, new: Any) -> Break:
        return Break(where, f"{key} was {_shown(old)}, is {_shown(new)}", self.direction.value)


def _types(schema: Schema) -> set[str] | None:
    """None: any."""
    kind = schema.get("type")
    return None if kind is None else _TYPES.get(kind, {kind})


def _values(schema: Schema) -> set[str] | None:
    """Those that it is one of, as JSON; None: any."""
    if "const" in schema:
        return {json.dumps(schema["const"])}
    return {json.dumps(value) for value in schema["enum"]} if "enum" in schema else None


def _within(narrow: set[str] | None, wide: set[str] | None) -> bool:
    return wide is None or (narrow is not None and narrow <= wide)


def _label(schema: Schema) -> str:
    """What tells the kinds of one field apart."""
    return str(schema.get("title") or schema.get("type") or "anything")


def _inside(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _shown(value: Any) -> str:
    if value is None:
        return "not there"
    return ", ".join(sorted(value)) if isinstance(value, set) else json.dumps(value)
