"""A click group with one subcommand for each method; `send` and `plan` are such groups."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

from agent.cli.lazy_group import LazyGroup
from agent.cli.request import parameters
from agent.rpc.schema import Method


class MethodGroup(LazyGroup):
    """`make` gives the command its callback and common options; the method's own parameters are added here.

    A subcommand is made when it is asked for: all of them together take longer than any one's work.
    """

    def __init__(
        self, name: str, *, methods: Mapping[str, Method], make: Callable[[Method], click.Command], **extra: Any
    ):
        super().__init__(name, **extra)
        self._methods = methods
        self._make = make

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._methods)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        # Methods are written with underscores, and typed with dashes as often.
        method = self._methods.get(cmd_name.replace("-", "_"))
        return None if method is None else self._built(method)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Methods"):
            formatter.write_dl([(method.name, _summary(method)) for method in self._methods.values()])

    def _built(self, method: Method) -> click.Command:
        command = self._make(method)
        # `common` has left its options on the callback; the method's own go before them.
        shared: list[click.Parameter] = list(reversed(getattr(command.callback, "__click_params__", [])))
        command.params = [*parameters(method), *shared]
        command.help = (method.params.__doc__ or "").strip()
        command.short_help = _summary(method)
        return command


def _summary(method: Method) -> str:
    return (method.params.__doc__ or "").strip().split("\n")[0]
