"""All elements of the agent, and which of their fields a value uses."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

import agent.hypervisor.devices
from agent.hypervisor import domain, metadata, readback
from agent.hypervisor.xml import Element

for _module in pkgutil.iter_modules(agent.hypervisor.devices.__path__):
    importlib.import_module(f"agent.hypervisor.devices.{_module.name}")
_OWNERS = (domain.__name__, metadata.__name__, readback.__name__, agent.hypervisor.devices.__name__)


def elements() -> list[type[Element]]:
    """Every Element of the agent that can be written, not those that tests declare."""
    return sorted(
        (kind for kind in _below(Element) if hasattr(kind, "tag") and kind.__module__.startswith(_OWNERS)),
        key=lambda kind: (kind.__module__, kind.__name__),
    )


def _below(kind: type[Element]) -> Iterator[type[Element]]:
    for below in kind.__subclasses__():
        if not below.__name__.startswith("_"):
            yield below
        yield from _below(below)


def models(value: Any) -> Iterator[BaseModel]:
    """`value` and all models in it."""
    match value:
        case BaseModel():
            yield value
            for name in type(value).model_fields:
                yield from models(getattr(value, name))
        case tuple():
            for item in value:
                yield from models(item)


def used_fields(value: Any) -> Iterator[tuple[type[BaseModel], str, Any]]:
    """Each field in `value` that isn't just its default, with what it holds."""
    for model in models(value):
        for name, field in type(model).model_fields.items():
            held = getattr(model, name)
            if field.is_required() or held != field.get_default(call_default_factory=True):
                yield type(model), name, held


def owner(kind: type[BaseModel], name: str) -> str:
    """The class that declares a field: trying it in one heir tries it for all."""
    return next(base.__name__ for base in kind.__mro__ if name in inspect.get_annotations(base))
