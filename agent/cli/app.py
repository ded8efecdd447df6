"""One run of the command line: where the broker is, which host is meant, and how the client is made.

    @click.command
    @common()
    def ping(session: Session) -> None:
        session.run(lambda client: client.call(...))

`common` gives a command the options that all have. The App behind it is made once for each run; tests make
one with another client.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from agent.cli.output import Output
    from agent.cli.ports import Client
    from agent.settings import Amqp, Settings

T = TypeVar("T")
Connect = Callable[["Settings"], AbstractAsyncContextManager["Client"]]


@dataclass(slots=True)
class App:
    """`connect` makes the client; None: the real one. The rest is set from the options."""

    connect: Connect | None = None
    as_json: bool = False
    debug: bool = False


@dataclass(frozen=True, slots=True)
class Session:
    """What a command works with."""

    app: App
    settings: Settings
    host: str
    timeout: float | None
    out: Output

    def run(self, work: Callable[[Client], Awaitable[T]]) -> T:
        """Connect, do it, disconnect."""
        return asyncio.run(self._connected(work))

    def on(self, host: str) -> Session:
        """The same for another host."""
        return replace(self, host=host)

    async def _connected(self, work: Callable[[Client], Awaitable[T]]) -> T:
        async with (self.app.connect or _connect)(self.settings) as client:
            return await work(client)


def _connect(settings: Settings) -> AbstractAsyncContextManager[Client]:
    from agent.rpc.client import ComputeClient

    return ComputeClient(settings.amqp, exchange=settings.rpc.exchange, topic=settings.rpc.topic)


def common(*, host: bool = True, timeout: bool = True) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Options of all commands; the command is called with a Session in place of them."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @click.pass_context
        @functools.wraps(command)
        def wrapped(ctx: click.Context, /, **values: Any) -> Any:
            return command(session_of(ctx, values), **values)

        return options(host=host, timeout=timeout)(wrapped)

    return decorate


def options(*, host: bool = True, timeout: bool = True) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The options alone, for a command that calls `session_of` itself."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(_options(host=host, timeout=timeout)):
            option(command)
        return command

    return decorate


def session_of(ctx: click.Context, values: dict[str, Any]) -> Session:
    """Takes the common options out of `values`. Raises SettingsError."""
    from agent.cli.output import Output

    app = ctx.find_object(App) or App()
    app.as_json, app.debug = values.pop("common_json"), values.pop("common_debug")
    _hush(app)
    url, host = values.pop("common_url"), values.pop("common_host", None)
    settings = _settings(url, host)
    return Session(app, settings, settings.host, values.pop("common_timeout", None), Output(app.as_json))


def _settings(url: str | None, host: str | None) -> Settings:
    from agent.settings_errors import read

    settings = read(**({"host": host} if host else {}))
    return settings if url is None else settings.model_copy(update={"amqp": _at(settings.amqp, url)})


def _at(amqp: Amqp, url: str) -> Amqp:
    """The same for another broker. Raises click.UsageError."""
    from pydantic import ValidationError

    try:
        return type(amqp).model_validate({**dict(amqp), "url": url})
    except ValidationError as error:
        # Without the text that was given: it may hold a password.
        raise click.UsageError(f"--url: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from None


def _hush(app: App) -> None:
    """The broker library's own warnings say again what the error says; --debug shows them."""
    root = logging.getLogger()
    if app.debug:
        logging.basicConfig(level=logging.INFO)
    elif not root.handlers:
        root.addHandler(logging.NullHandler())


def _options(*, host: bool, timeout: bool) -> list[Callable[[Any], Any]]:
    options = [
        click.option(
            "--url",
            "common_url",
            metavar="URL",
            help="The broker; default from the settings. Better there: others can read a command line.",
        ),
        click.option(
            "--json", "common_json", is_flag=True, help="JSON on standard output, and nothing else there."
        ),
        click.option("--debug", "common_debug", is_flag=True, help="Show tracebacks and the library's own log."),
    ]
    if timeout:
        options.insert(
            0,
            click.option(
                "--timeout",
                "common_timeout",
                type=click.FloatRange(min=0, min_open=True),
                metavar="SECONDS",
                help="How long to wait for the answer. Default: a query 30, a command 900, a spawn 1800.",
            ),
        )
    if host:
        options.insert(
            0, click.option("--host", "common_host", metavar="HOST", help="The agent's host; default this one.")
        )
    return options
