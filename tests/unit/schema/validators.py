"""Messages tried on the published document, by a validator that knows nothing of pydantic."""

from __future__ import annotations

from typing import Any

from jsonschema import Draft7Validator, Draft202012Validator
from jsonschema.protocols import Validator

from agent.rpc.schema.asyncapi import messages, schema_of


def validator(message: str) -> Validator:
    return Draft7Validator(schema_of(messages()[message]), format_checker=Draft202012Validator.FORMAT_CHECKER)


def problems(message: str, body: Any) -> list[str]:
    """What is wrong with it, by the schema of that name."""
    return [f"{error.json_path}: {error.message}" for error in validator(message).iter_errors(body)]


def header_problems(message: str, headers: Any) -> list[str]:
    schema = messages()[message].headers
    return [f"{error.json_path}: {error.message}" for error in Draft7Validator(schema).iter_errors(headers)]
