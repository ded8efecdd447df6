"""The journal's schema: numbered SQL files in `schema/`, run in order, counted in `PRAGMA user_version`.

Each file runs in one transaction with its number. A file that was released is never edited: the next one
alters what it made.
"""

from __future__ import annotations

from importlib import resources

import apsw

from agent.journal.refusal import StartRefused


def known() -> dict[int, str]:
    """Number -> SQL of all the migrations this agent has."""
    files = resources.files("agent.journal").joinpath("schema").iterdir()
    return {int(file.name.removesuffix(".sql")): file.read_text() for file in files if file.name.endswith(".sql")}


def version(db: apsw.Connection) -> int:
    return int(db.execute("PRAGMA user_version").get)


def refuse_newer(db: apsw.Connection) -> None:
    """Raises StartRefused when a newer agent wrote this. Only reads."""
    found, newest = version(db), max(known())
    if found > newest:
        raise StartRefused(
            f"{db.filename} has schema {found}, this agent knows schemas up to {newest}: a newer agent wrote "
            "it and it was left as it is; start that version, or one after it"
        )


def migrate(db: apsw.Connection) -> None:
    """Bring the schema up to the newest known."""
    done = version(db)
    for number, sql in sorted(known().items()):
        if number > done:
            db.execute(f"BEGIN IMMEDIATE;\n{sql}\nPRAGMA user_version = {number};\nCOMMIT")
