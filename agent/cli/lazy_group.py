"""A click group whose commands are made when they are asked for, and that still knows which one was meant."""

from __future__ import annotations

from difflib import get_close_matches

import click


class LazyGroup(click.Group):
    """For groups with a `list_commands` and a `get_command` of their own: click's own hint looks at neither."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        asked = args[0]
        if not ctx.resilient_parsing and not asked.startswith("-") and self.get_command(ctx, asked) is None:
            names = self.list_commands(ctx)
            near = get_close_matches(asked.replace("-", "_"), names, n=1) or get_close_matches(asked, names, n=1)
            ctx.fail(f"No such command {asked!r}: {self._hint(near, names)}")
        return super().resolve_command(ctx, args)

    def _hint(self, near: list[str], names: list[str]) -> str:
        return f"did you mean {near[0]}?" if near else f"known: {', '.join(names)}"
