"""Tables, as a person sees them and as a pipe gets them."""

from __future__ import annotations

import contextlib
import io
import os
from uuid import uuid4

from agent.cli.output import Output

COLUMNS = ("uuid", "name", "power state", "what was said")
ROW = (str(uuid4()), "n" * 30, "running", "a message of many words " * 5)


def on_a_terminal(*rows: tuple[str, ...]) -> str:
    hand, screen = os.openpty()
    with os.fdopen(hand, "rb", buffering=0) as seen:
        with open(screen, "w") as out, contextlib.redirect_stdout(out):
            Output().table(None, COLUMNS, rows)
        return seen.read(65536).decode()


def test_on_a_narrow_terminal_texts_are_folded_and_no_word_is_cut() -> None:
    screen = on_a_terminal(ROW)
    assert ROW[0] in screen
    assert ROW[1] in screen
    assert "\N{HORIZONTAL ELLIPSIS}" not in screen
    assert screen.count("message") == 5
    assert len(screen.splitlines()) > 3


def test_in_a_pipe_each_row_is_one_line() -> None:
    with contextlib.redirect_stdout(io.StringIO()) as pipe:
        Output().table(None, COLUMNS, [ROW, ROW])
    header, *rows = pipe.getvalue().splitlines()
    assert header.split() == " ".join(COLUMNS).split()
    assert [row.split() for row in rows] == [" ".join(ROW).split()] * 2


def test_a_table_without_rows_has_its_heads() -> None:
    assert "power state" in on_a_terminal()
    assert "uuid" in on_a_terminal()


def test_what_a_terminal_would_obey_does_not_reach_it() -> None:
    screen = on_a_terminal(("u", "\x1b[2Jevil", "", ""))
    assert "\x1b[2J" not in screen
    assert "[2Jevil" in screen
