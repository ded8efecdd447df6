"""Printing. Results go to standard output, all else to standard error.

On a terminal tables are rich's; in a pipe the same rows, in plain columns and never cut. With --json
standard output has JSON and nothing else: one document, or one a line for what has no end.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import click

_WIDE = 10_000


@dataclass(frozen=True, slots=True)
class Output:
    as_json: bool = False

    def data(self, value: Any) -> None:
        """A result in one piece: JSON, or indented YAML for people."""
        if self.as_json:
            click.echo(json.dumps(value, indent=2, ensure_ascii=False))
        else:
            import yaml

            click.echo(yaml.safe_dump(value, sort_keys=False, allow_unicode=True), nl=False)

    def line(self, value: Any, text: str) -> None:
        """One of a stream."""
        click.echo(json.dumps(value, ensure_ascii=False) if self.as_json else text)
        sys.stdout.flush()

    def raw(self, value: Any, text: str) -> None:
        """A piece of a stream of text, without a line's end of its own."""
        if self.as_json:
            self.line(value, "")
        else:
            click.echo(text, nl=False)
            sys.stdout.flush()

    def table(
        self,
        value: Any,
        columns: Sequence[str],
        rows: Iterable[Sequence[object]],
        title: str = "",
        *,
        aside: bool = False,
    ) -> None:
        """`value` is what --json prints. `aside`: on standard error, beside a result that is something else."""
        if self.as_json:
            self.data(value)
            return
        from rich.console import Console
        from rich.table import Table

        out = sys.stderr if aside else sys.stdout
        terminal = out.isatty()
        table = Table(*columns, title=title if terminal else None, box=None, pad_edge=False, title_justify="left")
        for row in rows:
            table.add_row(*(_plain("" if cell is None else str(cell)) for cell in row))
        Console(file=out, width=None if terminal else _WIDE, markup=False, highlight=False).print(table)

    def text(self, text: str) -> None:
        """A result that is text by nature."""
        click.echo(text, nl=not text.endswith("\n"))

    def note(self, text: str) -> None:
        """For a person; never on standard output."""
        click.echo(text, err=True)


def _plain(text: str) -> Any:
    from rich.text import Text

    return Text(printable(text))


def printable(text: str) -> str:
    """Without control characters: names and messages come from elsewhere, and a terminal obeys what it reads."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)
