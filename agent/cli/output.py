"""Printing. Results go to standard output, all else to standard error.

On a terminal tables are rich's, and no word is cut, as ids are there to be copied; in a pipe the same rows, in
plain columns, each on one line. With --json
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
        from rich.text import Text

        out = sys.stderr if aside else sys.stdout
        terminal = out.isatty()
        table = Table(title=title if terminal else None, box=None, pad_edge=False, title_justify="left")
        cells = [["" if cell is None else printable(str(cell)) for cell in row] for row in rows]
        for number, column in enumerate(columns):
            words = " ".join([column, *(row[number] for row in cells)]).split()
            table.add_column(column, min_width=max(map(len, words)))
        for row in cells:
            table.add_row(*map(Text, row))
        console = Console(file=out, width=None if terminal else _WIDE, markup=False, highlight=False)
        console.print(table, crop=False)

    def text(self, text: str) -> None:
        """A result that is text by nature."""
        click.echo(text, nl=not text.endswith("\n"))

    def note(self, text: str) -> None:
        """For a person; never on standard output."""
        click.echo(text, err=True)


def printable(text: str) -> str:
    """Without control characters: names and messages come from elsewhere, and a terminal obeys what it reads."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)
