"""An exception to what a person reads and a script tests. The only place that catches everything.

    error: not_found: no instance vm1 on host a
      instance_uuid: isn't valid; send a UUID

No traceback without --debug.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from typing import Any

import click

from agent.cli import exit_codes
from agent.cli.output import printable
from agent.errors import AgentError, Unavailable
from agent.settings_errors import SettingsError

_ADVICE = {
    "conflict": "read the state again: agent-cli show, or agent-cli operations",
    "busy": "come back later, to the same host",
    "unavailable": "wait and try again",
    "no_capacity": "take another host",
    "timed_out": "the outcome is unknown; see agent-cli operations",
    "operation_stuck": "a person has to look: agent-cli operations --stuck",
}


class ReaderGone(Exception):
    """Who reads our output has gone away, as `head` does."""


def report(error: BaseException, *, as_json: bool, debug: bool) -> int:
    """Print it and return the exit code."""
    if debug:
        traceback.print_exception(error)
    for kind, tell in _TELLERS:
        if isinstance(error, kind):
            return tell(error, as_json)
    return _bug(error, as_json)


def _agent_error(error: AgentError, as_json: bool) -> int:
    code = exit_codes.code_of(error)
    _json(as_json, code, error.message, error)
    _say(f"error: {code}: {error.message}")
    _details(error)
    number, advice = _of_the_broker(error) or (exit_codes.exit_code(error), _ADVICE.get(code))
    if advice:
        _say(f"  {advice}")
    return number


def _details(error: AgentError) -> None:
    fields = error.details.get("fields", [])
    if len(fields) > 1:  # a single one is in the message
        for field in fields:
            _say(f"  {field.get('path')}: {field.get('problem')}; {field.get('mend')}")
    for name, value in error.details.items():
        if name != "fields":
            _say(f"  {name}: {value}")
    if error.incident:
        _say(f"  incident: {error.incident}; report it with the agent's log of that time")


def _of_the_broker(error: AgentError) -> tuple[int, str] | None:
    """What the client itself found, in place of an agent."""
    if not isinstance(error, Unavailable):
        return None  # and the client, with the broker's library, need not be loaded
    from agent.rpc.client import BrokerUnreachable, LoginRefused, Unroutable

    told = {
        BrokerUnreachable: (exit_codes.BROKER, "see that the broker runs, and the address: amqp.url, or --url"),
        LoginRefused: (
            exit_codes.REFUSED_LOGIN,
            "see user, password, virtual host and rights: amqp.url, or --url",
        ),
        Unroutable: (exit_codes.UNROUTABLE, "see the host's name: --host, and rpc.exchange and rpc.topic"),
    }
    return told.get(type(error))


def _usage(error: click.ClickException, as_json: bool) -> int:
    _json(as_json, "usage", error.format_message())
    error.show()
    return error.exit_code


def _simple(code: str, number: int) -> Callable[[BaseException, bool], int]:
    def tell(error: BaseException, as_json: bool) -> int:
        _json(as_json, code, str(error))
        _say(f"error: {code}: {error}")
        return number

    return tell


def _interrupted(error: BaseException, as_json: bool) -> int:
    _say("interrupted")
    return exit_codes.INTERRUPTED


def _reader_gone(error: BaseException, as_json: bool) -> int:
    return exit_codes.BROKEN_PIPE


def _bug(error: BaseException, as_json: bool) -> int:
    text = f"{type(error).__name__}: {error}"
    _json(as_json, "unexpected", text)
    _say(f"error: agent-cli itself failed: {text}; --debug shows where")
    return exit_codes.UNEXPECTED


def _json(as_json: bool, code: str, message: str, error: AgentError | None = None) -> None:
    """The same form as in an answer on the wire."""
    if not as_json:
        return
    body: dict[str, Any] = {"code": code, "message": message}
    if error is not None:
        body |= {"retryable": error.retryable, "details": error.details, "incident": error.incident}
    click.echo(json.dumps({"error": body}, indent=2, default=str))


def _say(text: str) -> None:
    click.echo(printable(text), err=True)


_TELLERS: tuple[tuple[type[BaseException], Callable[..., int]], ...] = (
    (AgentError, _agent_error),
    (click.ClickException, _usage),
    (SettingsError, _simple("settings", exit_codes.SETTINGS)),
    (ReaderGone, _reader_gone),
    (KeyboardInterrupt, _interrupted),
    (click.Abort, _interrupted),
)
