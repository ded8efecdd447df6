"""A model of the schema as a list of what can be given on the command line. Pure.

`options` makes click options of these; so a new field of the schema is a new option, and its docstring the
option's help.
"""

from __future__ import annotations

import enum
import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from agent.docstrings import meaning
from agent.secret import Secret

FLATTENED = ("instance",)
"""Fields whose own fields become options, as they are what a command is about."""


class Kind(enum.Enum):
    TEXT = enum.auto()
    INTEGER = enum.auto()
    NUMBER = enum.auto()
    FLAG = enum.auto()
    CHOICE = enum.auto()
    SECRET = enum.auto()
    OBJECT = enum.auto()
    MAP = enum.auto()


@dataclass(frozen=True, slots=True)
class Field:
    """`path`: where it is in the arguments; `many`: a list of `kind`."""

    path: tuple[str, ...]
    kind: Kind
    many: bool
    choices: tuple[str, ...]
    keys: tuple[str, ...]
    type_name: str
    doc: str
    default: Any
    required: bool

    @property
    def name(self) -> str:
        return self.path[-1]

    @property
    def option(self) -> str:
        """`memory_mb` is --memory-mb; a list's name loses its s: `disks` is --disk, given once for each."""
        name = self.name.removesuffix("s") if self.many else self.name
        return "--" + name.replace("_", "-")


def fields_of(model: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[Field]:
    for name, info in model.model_fields.items():
        inner = _bare(info.annotation)
        if name in FLATTENED and _is_model(inner):
            yield from fields_of(inner, (*above, name))
        else:
            yield _field(model, (*above, name))


def _field(model: type[BaseModel], path: tuple[str, ...]) -> Field:
    info = model.model_fields[path[-1]]
    bare = _bare(info.annotation)
    many = get_origin(bare) is tuple
    if many:
        bare = _bare(get_args(bare)[0])
    kind, choices = _kind(bare)
    return Field(
        path=path,
        kind=kind,
        many=many,
        choices=choices,
        keys=_keys(bare),
        type_name=_type_name(bare),
        doc=_doc(meaning(model, path[-1]), bare),
        default=info.default if _worth_telling(info.default) else None,
        required=info.is_required(),
    )


def _bare(annotation: Any) -> Any:
    """Without Annotated and None."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    members = _members(annotation)
    return _bare(members[0]) if len(members) == 1 else annotation


def _members(annotation: Any) -> list[Any]:
    """Of a union, None left out; of anything else, none."""
    if get_origin(annotation) not in (Union, types.UnionType):
        return []
    return [member for member in get_args(annotation) if member is not type(None)]


_KINDS: dict[Any, Kind] = {int: Kind.INTEGER, float: Kind.NUMBER, bool: Kind.FLAG, Secret: Kind.SECRET}


def _kind(bare: Any) -> tuple[Kind, tuple[str, ...]]:
    origin = get_origin(bare)
    if origin is Literal:
        return Kind.CHOICE, get_args(bare)
    if origin is dict:
        return (Kind.OBJECT if get_args(bare)[1] is Any else Kind.MAP), ()
    if _members(bare) or _is_model(bare):
        return Kind.OBJECT, ()
    return _KINDS.get(bare, Kind.TEXT), ()


def _is_model(bare: Any) -> bool:
    return isinstance(bare, type) and issubclass(bare, BaseModel)


def _type_name(bare: Any) -> str:
    """What stands behind the option in the help."""
    name = getattr(bare, "__name__", "")
    return {"UUID": "UUID", "AwareDatetime": "TIME", "datetime": "TIME"}.get(name, "TEXT")


def _doc(text: str, bare: Any) -> str:
    if text:
        return " ".join(text.split())
    own = bare.__doc__ if _is_model(bare) else None
    return " ".join(own.split("\n\n")[0].split()) if own else ""


def _keys(bare: Any) -> tuple[str, ...]:
    """What an object may hold; of one that comes in several kinds, the keys of all."""
    models = [_bare(member) for member in _members(bare)] or [bare]
    return tuple(dict.fromkeys(key for model in models if _is_model(model) for key in model.model_fields))


def _worth_telling(default: Any) -> bool:
    return isinstance(default, (bool, int, float, str)) and default != ""
