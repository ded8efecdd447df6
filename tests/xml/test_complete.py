"""Nothing goes untried: every element and every field of a spec is in some golden file, with each word it has."""

from __future__ import annotations

import enum
import types
import typing
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from agent.hypervisor.domain import element
from agent.hypervisor.facts import HostFacts
from agent.hypervisor.ports import Guest
from agent.hypervisor.readback import Live
from tests.xml.elements import elements, models, owner, used_fields
from tests.xml.guests import DEVICES, GUESTS

LIVE = Path(__file__).parent / "live"
_WRITTEN = [element(*made) for made in GUESTS.values()] + list(DEVICES.values())
_READ = [Live.from_xml(path.read_text()) for path in LIVE.glob("*.xml")]


def test_every_element_is_in_a_golden_file() -> None:
    seen = {type(model) for value in (*_WRITTEN, *_READ) for model in models(value)}
    assert {kind.__name__ for kind in elements()} - {kind.__name__ for kind in seen} == set()


def test_every_field_of_every_element_is_in_a_golden_file() -> None:
    used = {(owner(kind, name), name) for value in (*_WRITTEN, *_READ) for kind, name, _ in used_fields(value)}
    assert _free(elements()) - used == set()


def test_every_field_of_a_guest_is_in_a_golden_file() -> None:
    used = {(owner(kind, name), name) for guest, _ in GUESTS.values() for kind, name, _ in used_fields(guest)}
    assert _free(_reachable(Guest)) - used == set()


def test_every_fact_of_a_host_is_told_in_a_golden_file() -> None:
    used = {name for _, host in GUESTS.values() for _, name, _ in used_fields(host)}
    # These don't show in a domain: they say which guests this host refuses.
    assert set(HostFacts.model_fields) - used == {"arch", "machines", "uefi"}


def test_every_word_a_guest_may_say_is_in_a_golden_file() -> None:
    said = {
        (owner(type(model), name), name, str(getattr(model, name)))
        for guest, _ in GUESTS.values()
        for model in models(guest)
        for name in type(model).model_fields
    }
    may_be_said = {
        (owner(kind, name), name, word)
        for kind in _reachable(Guest)
        for name, field in kind.model_fields.items()
        for word in _words(field.annotation)
    }
    assert may_be_said - said == set()


def _free(kinds: Iterable[type[BaseModel]]) -> set[tuple[str, str]]:
    """All their fields but those that can hold one word only, and so are always used."""
    return {(owner(kind, name), name) for kind in kinds for name in kind.model_fields if not _fixed(kind, name)}


def _fixed(kind: type[BaseModel], name: str) -> bool:
    annotation = kind.model_fields[name].annotation
    return typing.get_origin(annotation) is Literal and len(typing.get_args(annotation)) == 1


def _words(annotation: Any) -> Iterator[str]:
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        yield from map(str, args)
    elif origin in (typing.Union, types.UnionType):
        for arg in args:
            yield from _words(arg)
    elif annotation is bool:
        yield from ("True", "False")
    elif isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        yield from (member.value for member in annotation)


def _reachable(kind: Any) -> set[type[BaseModel]]:
    """The models a value of `kind` can be made of, through tuples and unions."""
    found: set[type[BaseModel]] = set()
    _reach(kind, found)
    return found


def _reach(kind: Any, found: set[type[BaseModel]]) -> None:
    for part in typing.get_args(kind):
        _reach(part, found)
    if isinstance(kind, type) and issubclass(kind, BaseModel) and kind not in found:
        found.add(kind)
        for field in kind.model_fields.values():
            _reach(field.annotation, found)
