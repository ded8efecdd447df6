"""The journal's schema: numbered SQL files in `schema/`, run in order, counted in `PRAGMA user_version`.

Each file runs in one transaction with its number. A file that was released is never edited: the next one
alters what it made.
"""

from __future__ import annotations

from importlib import resources

import apsw

from agent.journal.refusal import StartRefused

PARTS = r"""
SELECT type, name FROM sqlite_schema WHERE name NOT LIKE 'sqlite\_%' ESCAPE '\'
UNION
SELECT 'column', made.name || '.' || column.name
FROM sqlite_schema AS made, pragma_table_info(made.name) AS column WHERE made.type = 'table'
"""


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


def fault(db: apsw.Connection) -> str | None:
    """What isn't as its migrations made it; None when all is. Something more does no harm, but for what a later
    migration is still to make."""
    done, there = version(db), _parts(db)
    made, to_make = _made(done), _made(max(known()))
    missing, early = made - there, (to_make - made) & there
    told = [f"{part} is missing" for part in _tables_first(missing)]
    told += [f"{part} is there" for part in _tables_first(early)]
    return f"it isn't what schema {done} is: {', '.join(told[:5])}" if told else None


def _made(number: int) -> set[str]:
    db = apsw.Connection(":memory:")
    try:
        for each, sql in sorted(known().items()):
            if each <= number:
                db.execute(sql)
        return _parts(db)
    finally:
        db.close()


def _tables_first(parts: set[str]) -> list[str]:
    return sorted(parts, key=lambda part: (not part.startswith("table "), part))


def _parts(db: apsw.Connection) -> set[str]:
    """`table steps`, `trigger event_waits`, `column steps.name` and so on."""
    return {f"{kind} {name}" for kind, name in db.execute(PARTS)}
