"""pydantic models as JSON schemas of draft 7, which is what AsyncAPI 3 speaks. Pure.

pydantic writes draft 2020-12 with OpenAPI's discriminators. Two things differ for these models:

    {"$ref": ..., "description": ...}       draft 7 ignores what stands beside a $ref: it goes into an allOf
    {"oneOf": ..., "discriminator": {...}}  AsyncAPI's is another thing; each variant's `const` says which it is
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from agent.docstrings import Described

Schema = dict[str, Any]

DRAFT = "http://json-schema.org/draft-07/schema#"
COMPONENTS = "#/components/schemas/"


class _Untitled(Described):
    """A field's title would be its name once more."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def schemas(models: Iterable[type[BaseModel]]) -> dict[str, Schema]:
    """By name, with those that they refer to; a reference is `#/components/schemas/<name>`. What may be left out
    isn't required, in answers too: an earlier agent may not have it."""
    asked = [(model, "validation") for model in models]
    _, made = models_json_schema(asked, ref_template=COMPONENTS + "{model}", schema_generator=_Untitled)  # type: ignore[arg-type]
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
    made = {key: _draft_7(value) for key, value in schema.items() if not _is_foreign(key, value)}
    if "$ref" in made and len(made) > 1:
        return {"allOf": [{"$ref": made.pop("$ref")}], **made}
    return made


def _is_foreign(key: str, value: Any) -> bool:
    """Of no use there. A default that is an object repeats those of its fields, and grows with them."""
    return key in ("discriminator", "default") and isinstance(value, dict)


def _moved(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_moved(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: _target(value) if key == "$ref" else _moved(value) for key, value in schema.items()}


def _target(reference: str) -> str:
    return reference.replace(COMPONENTS, "#/definitions/")
