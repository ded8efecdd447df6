"""What the fields of a model mean: the text under each in the source, read when a page or a help is made of it.

pydantic reads it as it makes the class, when told to (`use_attribute_docstrings`). The daemon shows these texts to
nobody, and would pay for them with a tenth of a second at each start.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise
from typing import cast

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core.core_schema import ModelSchema


def meaning(model: type[BaseModel], field: str) -> str:
    """The field's `description`, or what is written under it; "" when neither is there."""
    return model.model_fields[field].description or meanings(model).get(field, "")


@cache
def meanings(model: type[BaseModel]) -> Mapping[str, str]:
    """What is written under the fields of `model` and under those that it inherits. Of a field that it declares
    anew, only what is written there counts."""
    found: dict[str, str] = {}
    for made_of in reversed(model.__mro__):
        if made_of is not BaseModel and issubclass(made_of, BaseModel):
            written = _written(made_of.__module__).get(made_of.__qualname__, {})
            found.update({field: written.get(field, "") for field in vars(made_of).get("__annotations__", {})})
    return {field: found[field] for field in model.model_fields if found.get(field)}


class Described(GenerateJsonSchema):
    """JSON schema in which each field says what it means: `model_json_schema(schema_generator=Described)`."""

    def model_schema(self, schema: ModelSchema) -> JsonSchemaValue:
        made, model = super().model_schema(schema), cast(type[BaseModel], schema["cls"])
        for field, text in meanings(model).items():
            if field in made.get("properties", {}):
                made["properties"][field].setdefault("description", text)
        return made


@cache
def _written(module: str) -> dict[str, dict[str, str]]:
    """The texts of all its classes: {class: {field: text}}."""
    return dict(_classes(ast.parse(inspect.getsource(sys.modules[module])).body, ""))


def _classes(body: list[ast.stmt], above: str) -> Iterator[tuple[str, dict[str, str]]]:
    for statement in body:
        if isinstance(statement, ast.ClassDef):
            yield above + statement.name, dict(_texts(statement.body))
            yield from _classes(statement.body, f"{above}{statement.name}.")


def _texts(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for field, below in pairwise(body):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, inspect.cleandoc(text)
