"""Writes what the agent of this tree leaves behind, once for each release: python -m tests.journals.record 1.0"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import sqlite3
import tempfile
import zlib
from contextlib import closing
from pathlib import Path
from uuid import UUID

from agent.journal.records import Status
from tests.journals.left import CASES, KEY, MAKE, PAST, Case, uuid_of
from tests.unit.operations.conftest import ENDED, Inside

HERE = Path(__file__).parent
STATE_DIR = "/var/lib/compute-agent"
"""Where it seems to have been."""


async def leave(directory: Path) -> None:
    """An agent works in `directory` until every case is where it shall be, and is stopped."""
    (directory / "journal.key").write_bytes(KEY)
    (directory / "journal.key").chmod(0o600)
    inside = await Inside.open(directory)
    for name, case in CASES.items():
        await leave_one(inside, name, case)
    await inside.operations.stop()
    inside.world.faults.clear()
    await inside.close()


async def leave_one(inside: Inside, name: str, case: Case) -> None:
    for method in case.before:
        record = await inside.do(method, MAKE[method](name))
        assert record.status is Status.SUCCEEDED, record.error
    for fault in case.faults:
        inside.world.faults.add(
            fault.model_copy(update={"instance": uuid_of(name)} if _of_one(fault.call) else {})
        )
    operation = await inside.submit(case.method, case.state(name), identity=f"recorded/{name}", **case.given)
    await arrived(inside, operation, case)
    record = await inside.journal.operation(operation)
    assert record.status is case.left, (name, record)


def _of_one(call: str) -> bool:
    """Volumes are nobody's in particular: the next one of all is meant."""
    return not call.startswith("volumes.")


async def arrived(inside: Inside, operation: UUID, case: Case) -> None:
    async with asyncio.timeout(60):
        while case.left in ENDED and (await inside.journal.operation(operation)).status not in ENDED:
            await asyncio.sleep(0.01)
        while case.left not in ENDED and not any(f.hang and f.taken for f in inside.world.faults.all()[-1:]):
            await asyncio.sleep(0.01)


def kept(directory: Path) -> tuple[str, str]:
    """`journal.sql` and `files.json`."""
    late = [f"recorded/{name}" for name, case in CASES.items() if case.late]
    with closing(sqlite3.connect(directory / "journal.db")) as db, db:
        past = int(PAST.timestamp()) * 1_000_000
        db.executemany("UPDATE operations SET not_after = ? WHERE identity = ?", [(past, name) for name in late])
        version = db.execute("PRAGMA user_version").fetchone()[0]
        sql = "\n".join([*db.iterdump(), f"PRAGMA user_version = {version};", ""])
    files = {
        str(path.relative_to(directory)): _packed(
            path.read_bytes().replace(str(directory).encode(), STATE_DIR.encode())
        )
        for path in sorted(directory.rglob("*"))
        if path.is_file() and not path.name.startswith(("journal.db", "lock"))
    }
    return sql.replace(str(directory), STATE_DIR), json.dumps(files, indent=1) + "\n"


def _packed(content: bytes) -> str:
    return base64.b85encode(zlib.compress(content, 9)).decode()


def _unpacked(text: str) -> bytes:
    return zlib.decompress(base64.b85decode(text))


def put_back(release: Path, directory: Path) -> None:
    """A state directory as it was left."""
    with closing(sqlite3.connect(directory / "journal.db")) as db:
        db.executescript((release / "journal.sql").read_text().replace(STATE_DIR, str(directory)))
    for name, content in json.loads((release / "files.json").read_text()).items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_unpacked(content).replace(STATE_DIR.encode(), str(directory).encode()))
    (directory / "journal.key").chmod(0o600)


def record(into: Path) -> None:
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(leave(Path(directory)))
        sql, files = kept(Path(directory))
    into.mkdir()  # what a release left is never written anew
    (into / "journal.sql").write_text(sql)
    (into / "files.json").write_text(files)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("release", help="1.0, for example")
    record(HERE / parser.parse_args().release)


if __name__ == "__main__":
    main()
