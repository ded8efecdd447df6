"""click options from a method's arguments, and back: what was given, as a tree of arguments.

An option that wasn't given leaves no trace: defaults are the agent's business, and options stand above a
file only where they say something.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click
from pydantic import BaseModel

from agent.cli.fields import Field, Kind, fields_of
from agent.cli.values import Tree, object_of, pair_of, put

_TYPES: dict[Kind, click.ParamType[Any]] = {
    Kind.INTEGER: click.INT,
    Kind.NUMBER: click.FLOAT,
    Kind.FLAG: click.BOOL,
}
_METAVARS = {Kind.OBJECT: "KEY=VALUE,...", Kind.MAP: "KEY=VALUE", Kind.SECRET: "-|@FILE|env:NAME"}
# Its option would only repeat what the argument INSTANCE or OPERATION says.
POSITIONAL = {"instance_uuid": "INSTANCE", "operation_id": "OPERATION"}


def options_of(model: type[BaseModel]) -> list[click.Parameter]:
    """One for each field, and the positional argument for the thing it is about."""
    fields = list(fields_of(model))
    return [*map(_argument, _positional(fields)), *map(_option, fields)]


def given(model: type[BaseModel], values: Mapping[str, Any]) -> Tree:
    """The arguments that `values`, click's parameters, say. Raises click.UsageError."""
    tree: Tree = {}
    for field in fields_of(model):
        for value in _said(field, values):
            put(tree, ".".join(field.path), value)
    return tree


def parameter(field: Field) -> str:
    """click's name of it; the prefix keeps it apart from the options that all commands have."""
    return "arg_" + "_".join(field.path)


def _positional(fields: list[Field]) -> Iterator[Field]:
    return (field for field in fields if field.name in POSITIONAL and field.required)


def _argument(field: Field) -> click.Argument:
    return click.Argument(["pos_" + field.name], metavar=f"[{POSITIONAL[field.name]}]", required=False)


def _option(field: Field) -> click.Option:
    names = [field.option, parameter(field)]
    if field.kind is Kind.FLAG:
        names[0] = f"{field.option}/--no-{field.option.removeprefix('--')}"
    return click.Option(
        names,
        type=click.Choice(field.choices) if field.kind is Kind.CHOICE else _TYPES.get(field.kind, click.STRING),
        default=None,
        multiple=field.many or field.kind is Kind.MAP,
        metavar=_METAVARS.get(field.kind) or (field.type_name if field.kind is Kind.TEXT else None),
        help=_help(field),
    )


def _help(field: Field) -> str:
    sentences = [field.doc if not field.doc or field.doc.endswith((".", "?", "!")) else field.doc + "."]
    if field.keys:
        sentences.append(f"Keys: {', '.join(field.keys)}.")
    if field.many or field.kind is Kind.MAP:
        sentences.append("May be given several times.")
    if field.default is not None:
        sentences.append(f"Default: {str(field.default).lower()}.")
    return " ".join(sentence for sentence in sentences if sentence)


def _said(field: Field, values: Mapping[str, Any]) -> Iterator[Any]:
    value = values.get(parameter(field))
    if value is None and field.name in POSITIONAL:
        value = values.get("pos_" + field.name)
    if value is None or value == ():
        return
    try:
        yield _parsed(field, value)
    except click.UsageError as error:
        raise click.UsageError(f"{field.option}: {error.message}") from None


def _parsed(field: Field, value: Any) -> Any:
    if field.kind is Kind.MAP:
        return dict(map(pair_of, value))
    if field.kind is not Kind.OBJECT:
        return list(value) if field.many else value
    return [object_of(one) for one in value] if field.many else object_of(value)
