"""Takes the secrets out of a request that is to be parked. Pure.

What is parked was refused, so it can't be trusted to have its secrets where the schema has them. Taken out:

* fields that are secrets in the schema, and any field with such a name anywhere;
* fields whose name says that they are secret (`token`, `...password...`);
* texts in fields that the schema doesn't know, where it takes no others: a typo may have hit a secret's name;
* user, password and signature in URLs.

The structure stays, so that a person can fill in the blanks and send it again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from pydantic_core import from_json, to_json

from agent.rpc.breadth import too_broad
from agent.rpc.schema import METHODS
from agent.rpc.schema.envelope import PLACEHOLDER
from agent.rpc.shape import PLAIN, Shape, child, joined, shape_of, variants_for
from agent.secret_words import ALONE, ANYWHERE, spelled

_TELLING = re.compile(rf"{ANYWHERE}|(?:^|_)(?:{ALONE})(?:_|$)")
# A body is a megabyte of a stranger's text: none of these goes through it once for each of its characters.
_URL_LOGIN = re.compile(r"(?<=://)[^/?#\s@]*@")
_ARGUMENT = re.compile(r"(?<![^=&#\s])([^=&#\s]++)=")
_ITS_VALUE = re.compile(r"[^&#\s]+")
_SIGNS = re.compile(r"token|secret|password|sig|key|credential", re.IGNORECASE)

# oslo.messaging's envelope holds the request as JSON in a string.
_NESTED = "oslo.message"


@dataclass(frozen=True, slots=True)
class Redacted:
    """The body without its secrets, and the paths of what was taken out."""

    body: bytes
    removed: tuple[str, ...]


def redact(body: bytes) -> Redacted | None:
    """None when the body isn't a JSON object of a request's size: then nothing is known about it, and none of it
    may be kept."""
    document = _object_in(body)
    if document is None:
        return None
    walk = _Walk()
    clean = walk.document(document)
    return Redacted(to_json(clean, inf_nan_mode="constants"), tuple(walk.removed))


def _object_in(text: str | bytes) -> dict[str, Any] | None:
    try:
        document = from_json(text, allow_inf_nan=False)
    except ValueError:
        return None
    return document if isinstance(document, dict) and not too_broad(document) else None


@dataclass(slots=True)
class _Walk:
    removed: list[str] = field(default_factory=list)

    def document(self, document: dict[str, Any]) -> dict[str, Any]:
        """The whole request; `args` are those of its method."""
        method = METHODS.get(str(document.get("method")))
        args = shape_of(method.params) if method else PLAIN
        return self._object(document, Shape(fields={"args": args}), "")

    def _value(self, value: Any, shape: Shape, path: str) -> Any:
        if shape.secret:
            return self._blank(value, path)
        if isinstance(value, dict):
            return self._object(value, shape, path)
        if isinstance(value, list):
            items = shape.items or PLAIN
            return [self._value(item, items, joined(path, index)) for index, item in enumerate(value)]
        return self._text(value, path) if isinstance(value, str) else value

    def _object(self, document: dict[str, Any], shape: Shape, path: str) -> dict[str, Any]:
        kinds = variants_for(shape, document)
        return {key: self._member(key, value, kinds, joined(path, key)) for key, value in document.items()}

    def _member(self, key: str, value: Any, kinds: tuple[Shape, ...], path: str) -> Any:
        if key == _NESTED and isinstance(value, str):
            return self._nested(value)
        known = [kind for kind in kinds if key in kind.fields or kind.items is not None]
        if _tells(key):
            return self._blank(value, path)
        if not known and any(kind.closed for kind in kinds):
            return self._blank(value, path, numbers=False)
        return self._value(value, child(known[0], key) if known else PLAIN, path)

    def _nested(self, text: str) -> str:
        document = _object_in(text)
        if document is None:
            return str(self._blank(text, _NESTED))
        return to_json(self.document(document), inf_nan_mode="constants").decode()

    def _blank(self, value: Any, path: str, *, numbers: bool = True) -> Any:
        """Every text below goes, and every number when `numbers`."""
        if isinstance(value, dict):
            return {k: self._blank(item, joined(path, k), numbers=numbers) for k, item in value.items()}
        if isinstance(value, list):
            return [self._blank(item, joined(path, i), numbers=numbers) for i, item in enumerate(value)]
        if not (isinstance(value, str) or (numbers and type(value) in (int, float))):
            return value
        self.removed.append(path)
        return PLACEHOLDER

    def _text(self, text: str, path: str) -> str:
        clean = _unsigned(_URL_LOGIN.sub(f"{PLACEHOLDER}@", text))
        if clean != text:
            self.removed.append(path)
        return clean


def _unsigned(text: str) -> str:
    """Without the values of telling arguments. What stands in another's value may be one too."""
    parts, done = [], 0
    for argument in _ARGUMENT.finditer(text):
        before = text[argument.start() - 1 : argument.start()]
        name = argument[1] if before == "&" else argument[1].partition("?")[2]
        if argument.start() < done or not _SIGNS.search(name):
            continue
        if value := _ITS_VALUE.match(text, argument.end()):
            parts += [text[done : value.start()], PLACEHOLDER]
            done = value.end()
    return "".join(parts) + text[done:]


def _tells(key: str) -> bool:
    name = spelled(key)
    return name in _secret_names() or _TELLING.search(name) is not None


@cache
def _secret_names() -> frozenset[str]:
    return frozenset(name for method in METHODS.values() for name in _secrets_in(shape_of(method.params)))


def _secrets_in(shape: Shape) -> Iterator[str]:
    inner: Mapping[str, Shape] = shape.fields
    for name, below in inner.items():
        if below.secret:
            yield name
        yield from _secrets_in(below)
    for below in (*shape.variants.values(), *([shape.items] if shape.items else [])):
        yield from _secrets_in(below)
