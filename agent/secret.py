"""A value that must not be seen: passwords, keys, user data.

A `Secret` prints as stars everywhere. Only two doors open it: `reveal()`, for the code that hands it to
libvirt or writes it on a config drive, and a journal's `Sealer`, given as pydantic's serialisation
context, under which it is written encrypted and read back.

    state.model_dump_json()                          {"admin_pass": "**********"}
    state.model_dump_json(context={"sealer": s})     {"admin_pass": {"sealed": "gAAAA..."}}
"""

from __future__ import annotations

from typing import Any, Protocol

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, SerializationInfo, ValidationInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

MASK = "**********"


class Sealer(Protocol):
    """Encrypts what the journal keeps; the key lives outside the journal."""

    def seal(self, clear: str) -> str: ...

    def open(self, sealed: str) -> str: ...


class Secret:
    """Text that doesn't show in repr, str, logs or JSON. Equal when the clear texts are equal."""

    __slots__ = ("_clear",)

    def __init__(self, clear: str) -> None:
        self._clear = clear

    def reveal(self) -> str:
        return self._clear

    def __repr__(self) -> str:
        return f"Secret({MASK!r})"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._clear == self._clear

    def __hash__(self) -> int:
        return hash(("Secret", self._clear))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(
            _validate,
            serialization=core_schema.plain_serializer_function_ser_schema(_serialize, info_arg=True),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "format": "password", "writeOnly": True}


def _validate(value: Any, info: ValidationInfo) -> Secret:
    if isinstance(value, Secret):
        return value
    if isinstance(value, str):
        return Secret(value)
    sealer = (info.context or {}).get("sealer")
    if sealer is not None and isinstance(value, dict) and set(value) == {"sealed"}:
        return Secret(sealer.open(value["sealed"]))
    raise ValueError("a secret is a string")


def _serialize(value: Secret, info: SerializationInfo) -> Any:
    context = info.context or {}
    if (sealer := context.get("sealer")) is not None:
        return {"sealed": sealer.seal(value.reveal())}
    # The client's own door: a request on its way to the broker carries the clear value.
    return value.reveal() if context.get("reveal") else MASK
