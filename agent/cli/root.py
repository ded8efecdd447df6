"""The group of all commands. A command's module is imported when the command is run, not before."""

from __future__ import annotations

import contextlib
import os
import sys
from importlib import import_module
from typing import Any

import click

from agent.cli.catalogue import COMMANDS, help_text
from agent.cli.lazy_group import LazyGroup


class Root(LazyGroup):
    """Also the last stop of every error: whatever a command raises becomes words and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def get_help(self, ctx: click.Context) -> str:
        return help_text().rstrip("\n")

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            # click's own `main` would make it exit code 1, which says something else here.
            from agent.cli.failure import ReaderGone

            raise ReaderGone from error

    def main(self, args: Any = None, *rest: Any, **extra: Any) -> Any:
        """Exits. `obj`, an App, is how tests and completion put another client behind the commands."""
        from agent.cli.app import App

        app = extra.pop("obj", None) or App()
        extra["standalone_mode"] = False
        try:
            code = super().main(args, *rest, obj=app, **extra)
            sys.stdout.flush()
        except BaseException as error:
            from agent.cli.failure import ReaderGone, report

            if isinstance(error, SystemExit):
                raise
            code = report(error, as_json=app.as_json, debug=app.debug)
            if isinstance(error, ReaderGone):
                # Or the interpreter, flushing on its way out, would print a second error.
                with contextlib.suppress(OSError):
                    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(code if isinstance(code, int) else 0)


def _version(ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        click.echo(f"agent-cli {version('compute-agent')}")
        ctx.exit()


cli = Root(
    "agent-cli",
    help="Speak to compute agents over their broker.",
    params=[
        click.Option(
            ["--version"],
            is_flag=True,
            expose_value=False,
            is_eager=True,
            callback=_version,
            help="Show the version.",
        )
    ],
)
