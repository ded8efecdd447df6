"""What a model of the schema looks like inside: its fields, its variants, and where its secrets are.

pydantic knows all this, but tells it in error locations that hold union tags between the field names, and
not at all for a document that isn't valid. `validation` needs the way to a field as a caller wrote it,
`redact` the places of secrets in documents that were refused.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from agent.secret import Secret


@dataclass(frozen=True, slots=True)
class Shape:
    """One place in a document. At most one of `fields`, `items` and `variants` is set; none: a plain value."""

    secret: bool = False
    closed: bool = False
    """Whether a field that isn't in `fields` is refused."""
    fields: Mapping[str, Shape] = field(default_factory=dict)
    items: Shape | None = None
    """Of the elements of an array, or of the values of an object with free keys."""
    tag: str | None = None
    """The field that says which variant it is."""
    variants: Mapping[str, Shape] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an error is: the way to it as a caller writes it, and the shapes on both sides of the last step."""

    path: str
    parent: Shape
    shape: Shape


PLAIN = Shape()


@cache
def shape_of(model: type[BaseModel]) -> Shape:
    """The shape of a model. No model of the schema holds itself, so this ends."""
    return Shape(
        closed=model.model_config.get("extra") == "forbid",
        fields={name: _of_field(info) for name, info in model.model_fields.items()},
    )


def locate(top: Shape, location: tuple[int | str, ...]) -> Place:
    """Follow a pydantic error location, leaving out the union tags in it."""
    path, parent, here = "", top, top
    for step in location:
        if here.variants and isinstance(step, str) and step in here.variants:
            here = here.variants[step]
            continue
        parent, here = here, child(here, step)
        path = joined(path, step)
    return Place(path or "args", parent, here)


def child(shape: Shape, step: int | str) -> Shape:
    """What is one step further in; PLAIN where the model knows nothing."""
    if isinstance(step, str) and step in shape.fields:
        return shape.fields[step]
    return shape.items or PLAIN


def variants_for(shape: Shape, document: Mapping[str, Any]) -> tuple[Shape, ...]:
    """The shapes that an object may have: of the variant it says it is, of all when it doesn't say."""
    if not shape.variants:
        return (shape,)
    tag = document.get(shape.tag or "")
    if isinstance(tag, str) and tag in shape.variants:
        return (shape.variants[tag],)
    return tuple(shape.variants.values())


def joined(path: str, step: int | str) -> str:
    """One step further: `disks`, 0, `image` -> `disks[0].image`."""
    if isinstance(step, int):
        return f"{path}[{step}]"
    return f"{path}.{_shown(step)}" if path else _shown(step)


def _shown(step: str) -> str:
    """A key is the caller's own text: short and printable, whatever it was."""
    return step if len(step) <= 64 and step.isprintable() else repr(step[:32]) + "..."


def _of_field(info: FieldInfo) -> Shape:
    tag = info.discriminator
    return _of(info.annotation, tag if isinstance(tag, str) else None)


def _of(annotation: Any, tag: str | None = None) -> Shape:
    if annotation is Secret:
        return Shape(secret=True)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return shape_of(annotation)
    return _of_generic(get_origin(annotation), get_args(annotation), tag)


def _of_generic(origin: Any, args: tuple[Any, ...], tag: str | None) -> Shape:
    if origin is Annotated:
        tags = [data.discriminator for data in args[1:] if isinstance(data, FieldInfo)]
        return _of(args[0], next((tag for tag in tags if isinstance(tag, str)), tag))
    if origin in (Union, types.UnionType):
        return _of_union([arg for arg in args if arg is not type(None)], tag)
    if origin in (tuple, list, set, frozenset) and args:
        return Shape(items=_of(args[0]))
    return Shape(items=_of(args[1])) if origin is dict else PLAIN


def _of_union(members: list[Any], tag: str | None) -> Shape:
    if tag is None:
        # Several types without a tag are plain values in this schema; a test holds it to that.
        return _of(members[0]) if len(members) == 1 else PLAIN
    return Shape(tag=tag, variants={name: shape_of(member) for member in members for name in _tags(member, tag)})


def _tags(member: type[BaseModel], tag: str) -> Iterator[str]:
    """The values of a variant's tag field, a Literal."""
    yield from get_args(member.model_fields[tag].annotation)
