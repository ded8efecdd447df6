"""Request -> Call: is the method known, is it allowed on that queue, are its arguments right? Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from agent.errors import Expired, InvalidRequest
from agent.names import Names
from agent.rpc.desk import Call, Request, Source
from agent.rpc.schema import METHODS, VERSION, Method
from agent.rpc.schema.base import Params
from agent.rpc.validation import nearest, validate

_VERSION = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})", re.ASCII)
_MAJOR, _MINOR = map(int, VERSION.split("."))


class UnknownMethod(InvalidRequest):
    """No such method; of its own class because oslo's clients are told in their own way."""


class UnsupportedVersion(InvalidRequest):
    """Another version of the contract is asked for; of its own class for the same reason."""


@dataclass(frozen=True, slots=True)
class Router:
    names: Names
    shared_spawn: bool = False

    def route(self, request: Request, source: Source, now: datetime) -> Call:
        """Raises InvalidRequest, and Expired for a read that comes too late.

        A change that comes too late is the desk's to refuse: it may have been accepted in time and be
        delivered again, and then "nothing was begun" would be wrong.
        """
        method = _known(request)
        self._check_queue(method, source)
        params = validate(method, request.args)
        call = Call(method, params, request)
        if method.kind == "change":
            _check_identity(call)
        elif request.deadline is not None and request.deadline <= now:
            raise Expired(f"{method.name}: its deadline was {request.deadline.isoformat()}")
        return call

    def _check_queue(self, method: Method, source: Source) -> None:
        if source is Source.COMMANDS or method.kind == "read":
            return
        if source is Source.QUERIES and method.on_query_queue:
            return
        if source is Source.SHARED and self.shared_spawn and method.name == "spawn":
            return
        raise InvalidRequest.field(
            "method",
            f"{method.name} isn't taken from {_said(source)}",
            f"send it to {self.names.commands!r}, or that of the host you mean",
        )


def _known(request: Request) -> Method:
    version = _VERSION.fullmatch(request.version)
    if version is None or int(version[1]) != _MAJOR or int(version[2]) > _MINOR:
        raise UnsupportedVersion.field(
            "version", f"{request.version[:16]!r} isn't spoken here", f"this agent speaks {VERSION}"
        )
    method = METHODS.get(request.method)
    if method is not None:
        return method
    meant = nearest(request.method, METHODS)
    mend = f"did you mean {meant!r}?" if meant else f"known: {', '.join(METHODS)}"
    raise UnknownMethod.field("method", f"no such method: {request.method[:64]!r}", mend)


def _check_identity(call: Call) -> None:
    params = call.params
    if call.request.identity or (isinstance(params, Params) and params.idempotency_key):
        return
    raise InvalidRequest.field(
        "message_id",
        "is missing",
        "a changing request needs message_id, or idempotency_key in its args, so that a repeat is known",
    )


def _said(source: Source) -> str:
    return {
        Source.QUERIES: "the queue of queries",
        Source.SHARED: "the queue shared by all hosts",
        Source.FANOUT: "the queue of broadcasts",
    }[source]
