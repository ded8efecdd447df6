"""Any value of a model, worked out from its declaration, so that a new field is tested without a word.

values(SomeElement)                any of them, its texts whatever XML can hold
values(InstanceSpec, OVERRIDES)    any of them, but some fields as the overrides say
"""

from __future__ import annotations

import enum
import types
import typing
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, Literal
from uuid import UUID

from hypothesis import strategies as st
from pydantic import BaseModel

from agent.secret import Secret

# What XML 1.0 can hold; surrogates and the two non-characters can't even be escaped.
XML_TEXT = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff") | st.sampled_from("\t\n\r"),
    max_size=12,
)
Overrides = Mapping[str, st.SearchStrategy[Any]]
"""Strategies by `Model.field`."""


def values(
    kind: Any,
    overrides: Overrides | None = None,
    text: st.SearchStrategy[str] = XML_TEXT,
    secrets: st.SearchStrategy[Secret] | None = None,
) -> Any:
    return _Maker(overrides or {}, text, text.map(Secret) if secrets is None else secrets).values(kind)


class _Maker:
    def __init__(
        self, overrides: Overrides, text: st.SearchStrategy[str], secrets: st.SearchStrategy[Secret]
    ) -> None:
        self._overrides = overrides
        self._text = text
        self._plain: dict[type, st.SearchStrategy[Any]] = {
            type(None): st.none(),
            str: text,
            bool: st.booleans(),
            int: st.integers(),
            UUID: st.uuids(),
            Secret: secrets,
        }

    def values(self, kind: Any) -> st.SearchStrategy[Any]:
        origin, args = typing.get_origin(kind), typing.get_args(kind)
        if origin is typing.Annotated:
            return self.values(args[0])
        if origin in (typing.Union, types.UnionType):
            return st.one_of([self.values(arg) for arg in args])
        if origin is tuple:
            return st.lists(self.values(args[0]), max_size=2).map(tuple)
        if origin is dict:
            return st.dictionaries(*map(self.values, args), max_size=2)
        return st.sampled_from(args) if origin is Literal else self._of_class(kind)

    def _of_class(self, kind: type) -> st.SearchStrategy[Any]:
        if issubclass(kind, BaseModel):
            return self._model(kind)
        if issubclass(kind, enum.Enum):
            return st.sampled_from(kind)
        return self._text.map(kind) if issubclass(kind, PurePath) else self._plain[kind]

    def _model(self, kind: type[BaseModel]) -> st.SearchStrategy[Any]:
        fields = {
            name: self._overrides[key]
            if (key := f"{kind.__name__}.{name}") in self._overrides
            else self.values(field.annotation)
            for name, field in kind.model_fields.items()
        }
        return st.builds(kind, **fields)
