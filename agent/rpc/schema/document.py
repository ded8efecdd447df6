"""The reference pages on methods, errors and events, made from the published contract. Pure.

`scripts/docs` writes them; a test holds the files to what is made here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import ModuleType

from pydantic import BaseModel

from agent.errors import BY_CODE
from agent.rpc.schema import METHODS, VERSION, Method, instance, params, results
from agent.rpc.schema.base import InstanceParams, Message, Params, Read
from agent.rpc.schema.event_types import METHODS_WITH_EVENTS, TYPES, EventType
from agent.rpc.schema.events import POWER_STATE_CODES, CloudEvent
from agent.rpc.schema.words import NAMED, all_rows, link, parent, rows

MADE = "<!-- Made by scripts/docs from the code; change it there. -->\n\n"

_NOTHING_OF_THEIR_OWN = (Message, Params, InstanceParams, Read, results.Result)
"""What these hold is told once, or is nothing."""


def methods() -> str:
    """docs/reference/methods.md"""
    listed = list(METHODS.values())
    return (
        MADE
        + "\n\n".join(
            (
                f"# Methods, version {VERSION}",
                "How a request is sent and answered is in the reference on [messages](messages.md); what an "
                "answer may say instead of a result is in that on [errors](errors.md).",
                _overview(listed),
                "## Kinds of text",
                table(("Type", "What it takes"), ((name, takes) for name, (_, takes) in NAMED.items())),
                "## Arguments of every changing method",
                _arguments(Params),
                "## Changing methods",
                *(_method(method) for method in listed if method.kind == "change"),
                "## Read-only methods",
                *(_method(method) for method in listed if method.kind == "read"),
                "## Objects in arguments",
                *(_object(model) for model in _reachable((m.params for m in listed), instance)),
                "## Results",
                "A client ignores fields it doesn't know: later versions add some.",
                *(_object(model) for model in _reachable((m.result for m in listed), results)),
            )
        )
        + "\n"
    )


def errors(exit_codes: Mapping[str, int], others: Mapping[int, str]) -> str:
    """docs/reference/errors.md. `exit_codes`: the command line's, by error; `others`: those that aren't errors of
    an agent, with their meanings."""
    known = (
        (f"`{code}`", "yes" if kind.retryable else "no", kind.__doc__ or "", str(exit_codes[code]))
        for code, kind in BY_CODE.items()
    )
    return (
        MADE
        + "\n\n".join(
            (
                "# Errors",
                "The `error` of an answer, and of a `.error` event:",
                _fields(results.Error, ("Field", "Type", "Meaning")),
                "A client treats a code it doesn't know by `retryable`. To try again means a new request with a "
                "new identity: a repeat under the old one gets the old answer.",
                table(("Code", "Retryable", "What it says, and what the caller does", "Exit code"), known),
                "The last column is the exit code of `agent-cli`. Its others:",
                table(("Exit code", "Meaning"), ((str(code), meaning) for code, meaning in others.items())),
            )
        )
        + "\n"
    )


def events() -> str:
    """docs/reference/events.md"""
    durable = [kind for kind in TYPES if kind.durable]
    passing = [kind for kind in TYPES if not kind.durable]
    return (
        MADE
        + "\n\n".join(
            (
                "# Events",
                "CloudEvents 1.0 in JSON, `content_type: application/cloudevents+json`, on the topic exchange "
                "`compute.events`. Where they go and how long they are kept is in the reference on "
                "[messages](messages.md#events).",
                _fields(CloudEvent, ("Field", "Type", "Meaning")),
                "`<method>` is one of " + ", ".join(f"`{name}`" for name in METHODS_WITH_EVENTS) + ".",
                "## Durable",
                "Numbered, kept in the journal until the broker has confirmed them and beyond, for "
                "`replay_events`.",
                *(_event(kind) for kind in durable),
                "Power states and their numbers, which are nova's but for the last: "
                + ", ".join(f"`{word}` {code}" for word, code in POWER_STATE_CODES.items())
                + ".",
                "## Ephemeral",
                "Without `stream` and `sequence`, never kept: one that can't be sent at once is dropped. "
                "They pass by the outbox, so one may come before a durable event that was told earlier.",
                *(_event(kind) for kind in passing),
            )
        )
        + "\n"
    )


def table(head: tuple[str, ...], lines: Iterable[tuple[str, ...]]) -> str:
    """A table in Markdown."""
    return "\n".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |"
        for line in (head, tuple("---" for _ in head), *lines)
    )


def _overview(listed: Iterable[Method]) -> str:
    lines = (
        (link(method.name), method.kind, _doc(method.params).partition(".")[0] + ".", _queues(method))
        for method in listed
    )
    return table(("Method", "Kind", "What it does", "Sent to"), lines)


def _queues(method: Method) -> str:
    own = "`compute.<host>`"
    if method.kind == "change":
        return f"{own} or its `.query`" if method.on_query_queue else own
    return f"{own} or its `.query`, `compute`, fanout"


def _method(method: Method) -> str:
    general = "" if method.kind == "read" else "Beside those of every changing method:\n\n"
    arguments = _arguments(method.params, *_shared(method.params))
    told = f"{general}{arguments}" if arguments else "No arguments of its own."
    return f"### {method.name}\n\n{_doc(method.params)}\n\n{told}\n\nResult: {link(method.result.__name__)}."


def _shared(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """The classes above, up to what all arguments have."""
    above = parent(model)
    while above not in (Params, Read, Message):
        yield above
        above = parent(above)


def _arguments(*models: type[BaseModel]) -> str:
    found = [
        (f"`{row.name}`", row.type, row.default, row.meaning) for model in reversed(models) for row in rows(model)
    ]
    return table(("Argument", "Type", "Default", "Meaning"), found) if found else ""


def _object(model: type[BaseModel]) -> str:
    above = parent(model)
    like = "" if above in _NOTHING_OF_THEIR_OWN else f"As {link(above.__name__)}, and:\n\n"
    doc = f"{_doc(model)}\n\n" if _doc(model) else ""
    shown = (
        _fields(model, ("Field", "Type", "Meaning")) if issubclass(model, results.Result) else _arguments(model)
    )
    return f"### {model.__name__}\n\n{doc}{like}{shown}"


def _fields(model: type[BaseModel], head: tuple[str, ...]) -> str:
    return table(head, ((f"`{row.name}`", row.type, row.meaning) for row in rows(model)))


def _reachable(first: Iterable[type[BaseModel]], module: ModuleType) -> Iterator[type[BaseModel]]:
    """The models of `module` that are named by `first`, by those, and so on; each once, in the order met."""
    known = {name: kind for name, kind in vars(module).items() if _is_model(kind)}
    queue, seen = list(first), set[type[BaseModel]]()
    while queue:
        model = queue.pop(0)
        if model in seen:
            continue
        seen.add(model)
        if model.__name__ in known:
            yield model
        above = [] if parent(model) in _NOTHING_OF_THEIR_OWN else [parent(model)]
        named = [known[name] for row in rows(model) for name in row.refers if name in known]
        queue += [kind for kind in (*above, *named) if kind not in (params.OperationParams,)]


def _is_model(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel) and kind not in _NOTHING_OF_THEIR_OWN


def _event(kind: EventType) -> str:
    subject = "" if kind.subject else " Without `subject`; routing key `<type>.<host>`."
    shown = table(("In `data`", "Meaning"), ((f"`{row.name}`", row.meaning) for row in all_rows(kind.data)))
    return f"### `{kind.type}`\n\n{kind.when}{subject}\n\n{shown}"


def _doc(model: type[BaseModel]) -> str:
    """Only the class's own; pydantic would give the one above it."""
    return " ".join(str(vars(model).get("__doc__") or "").split())
