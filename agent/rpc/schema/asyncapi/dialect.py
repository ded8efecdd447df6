"""pydantic models as JSON schemas of draft 7, which is what AsyncAPI 3 speaks. Pure.

pydantic writes draft 2020-12 with OpenAPI's discriminators and formats of its own. What differs for these models:

    {"oneOf": ..., "discriminator": {...}}  AsyncAPI's is another thing; each variant's `const` says which it is
    {"$ref": ..., "default": {...}}         repeats the defaults of the model's fields, and grows with them
    {"format": "ipvanyaddress"}             no validator knows it

A description may stay beside a `$ref`: draft 7 passes over it, people read it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaValue, models_json_schema
from pydantic_core.core_schema import ModelSchema

from agent.docstrings import Described

Schema = dict[str, Any]

DRAFT = "http://json-schema.org/draft-07/schema#"
COMPONENTS = "#/components/schemas/"


class _Titled(Described):
    """Only what generators of code make a type of has a title: a model, and a field that is one of several things,
    named with its model, as another model's field of that name is another type."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def model_schema(self, schema: ModelSchema) -> JsonSchemaValue:
        made = super().model_schema(schema)
        for name, field in made.get("properties", {}).items():
            for place in (field, field.get("items", {}), *field.get("anyOf", ())):
                if _SEVERAL & place.keys():
                    place["title"] = f"{made['title']}{pascal(name)}"
        return made


_SEVERAL = {"enum", "anyOf", "oneOf"}
_IP: dict[str, Schema] = {
    "ipvanyaddress": {"anyOf": [{"type": "string", "format": "ipv4"}, {"type": "string", "format": "ipv6"}]},
    "ipvanyinterface": {"type": "string"},
    "ipvanynetwork": {"type": "string"},
}


def pascal(name: str) -> str:
    """some_name -> SomeName"""
    return "".join(word.capitalize() for word in name.split("_"))


def schemas(models: Iterable[type[BaseModel]]) -> dict[str, Schema]:
    """By name, with those that they refer to; a reference is `#/components/schemas/<name>`. What may be left out
    isn't required, in answers too: an earlier agent may not have it."""
    asked = [(model, "validation") for model in models]
    _, made = models_json_schema(asked, ref_template=COMPONENTS + "{model}", schema_generator=_Titled)  # type: ignore[arg-type]
    return {name: _draft_7(schema) for name, schema in sorted(made["$defs"].items())}


def alone(name: str, known: Mapping[str, Schema]) -> Schema:
    """The schema of that name as a document of its own, with all that it refers to."""
    needed = sorted(_reachable(name, known) - {name})
    schema = {"$schema": DRAFT, **known[name], "definitions": {other: known[other] for other in needed}}
    return {key: value for key, value in _moved(schema).items() if key != "definitions" or value}


def references(schema: Any) -> Iterator[str]:
    """The names of what it refers to."""
    if isinstance(schema, dict):
        if isinstance(target := schema.get("$ref"), str):
            yield target.removeprefix(COMPONENTS)
        for inner in schema.values():
            yield from references(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from references(inner)


def _reachable(name: str, known: Mapping[str, Schema]) -> set[str]:
    seen, queue = set[str](), [name]
    while queue:
        here = queue.pop()
        if here not in seen:
            seen.add(here)
            queue += references(known[here])
    return seen


def _draft_7(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_draft_7(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: _inside(key, value) for key, value in schema.items() if not _is_foreign(key, value)}
    if (address := _IP.get(made.get("format", ""))) is None:
        return made
    return {**{key: value for key, value in made.items() if key not in ("type", "format")}, **address}


def _inside(key: str, value: Any) -> Any:
    if key in ("properties", "patternProperties"):
        return {name: _draft_7(inner) for name, inner in value.items()}
    return _draft_7(value)


def _is_foreign(key: str, value: Any) -> bool:
    return key in ("discriminator", "default") and isinstance(value, dict)


def _moved(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_moved(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: _target(value) if key == "$ref" else _moved(value) for key, value in schema.items()}


def _target(reference: str) -> str:
    return reference.replace(COMPONENTS, "#/definitions/")
