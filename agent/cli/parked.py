"""The body of a parked message: filling in what was removed from it, and giving it a new identity. Pure.

A parked request has a placeholder for each secret (`rpc.redact`). In the plain format the request is the body;
in oslo.messaging's it is JSON in the body's member `oslo.message`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import click

from agent.cli.values import Secrets, assignment_of, put, shape_at
from agent.rpc.schema import METHODS
from agent.rpc.schema.envelope import PLACEHOLDER
from agent.rpc.shape import PLAIN, shape_of

if TYPE_CHECKING:
    from agent.rpc.parked import ParkedMessage

_NESTED = "oslo.message"
Tree = dict[str, Any]


def request_of(body: Mapping[str, Any]) -> Tree:
    """The request in a body. Raises click.UsageError when it isn't one."""
    nested = body.get(_NESTED)
    try:
        request = json.loads(nested) if isinstance(nested, str) else json.loads(json.dumps(dict(body)))
    except ValueError:
        request = None
    if not isinstance(request, dict):
        raise click.UsageError("the parked message isn't a request; it can only be dropped")
    return request


def mended(
    body: Mapping[str, Any], assignments: tuple[str, ...], secrets: Secrets, identity: str | None = None
) -> Tree:
    """The body with `path=value` set in the request's arguments, and its identity when one is given. Raises
    click.UsageError, also when a placeholder is left: an agent would refuse it once more."""
    request = request_of(body)
    args = request.setdefault("args", {})
    method = METHODS.get(str(request.get("method")))
    shape = shape_of(method.params) if method else PLAIN
    if identity is not None and method is not None and method.kind == "change":
        args["idempotency_key"] = identity
    for assignment in assignments:
        path, value = assignment_of(assignment)
        put(args, path, secrets.resolve(value, shape_at(shape, args, path), path))
    if left := list(_placeholders(request)):
        more = " ".join(f"--set {path.removeprefix('args.')}=..." for path in left)
        raise click.UsageError(f"secrets had been removed from it; fill them in: {more}")
    return {**body, _NESTED: json.dumps(request)} if isinstance(body.get(_NESTED), str) else request


def new_identity(parked: ParkedMessage) -> str:
    """Another than the refused request's, whose refusal the agent may have journaled and would answer again. The
    same each time: sending one parked message again twice has no second effect."""
    return "resent-" + sha256(f"{parked.id} {parked.host} {parked.time}".encode()).hexdigest()[:32]


def _placeholders(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _placeholders(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from _placeholders(item, f"{path}.{place}")
    elif isinstance(value, str) and PLACEHOLDER in value:
        yield path
