from __future__ import annotations

import json
from pathlib import Path

from agent.journal import Answer, Journal, Status
from agent.saga import Mark
from agent.secret import Secret
from tests.unit.journal.samples import State, accepted, event, raw, reading

CANARY = "canary-7f3a91-opensesame"


async def test_a_secret_is_never_in_the_files(journal: Journal, tmp_path: Path) -> None:
    state = State(admin_pass=Secret(CANARY), made=("plain-text-is-found",))
    record = await accepted(journal, "identity-is-found", state=state)
    await journal.begin(record.id, [event()])
    await journal.write_step(record.id, "disk", Mark.BEGUN, state)

    def files_hide_it() -> None:
        content = raw(tmp_path)
        assert b"identity-is-found" in content
        assert CANARY.encode() not in content

    assert b"plain-text-is-found" in raw(tmp_path)
    files_hide_it()
    await journal.finish(record.id, Status.SUCCEEDED, Answer(result={}), [event()], {})
    files_hide_it()
    await journal.close()
    files_hide_it()


async def test_an_ended_operations_state_is_overwritten(journal: Journal, tmp_path: Path) -> None:
    # Large, so that it fills pages of its own: those are freed, and must not keep it.
    made = tuple(f"plain-text-is-found-{n}" for n in range(2000))
    record = await accepted(journal, state=State(admin_pass=Secret(CANARY), made=made))
    sealed = json.loads(record.state or "")["admin_pass"]["sealed"].encode()
    await journal.write_step(record.id, "disk", Mark.BEGUN, State(made=made))
    assert sealed in raw(tmp_path)
    await journal.finish(record.id, Status.SUCCEEDED, Answer(result={}), [], {})
    await journal.close()
    content = raw(tmp_path)
    assert record.identity.encode() in content
    assert sealed not in content
    assert b"plain-text-is-found" not in content


async def test_a_forgotten_reply_is_overwritten(journal: Journal, tmp_path: Path) -> None:
    record = await accepted(journal)
    await journal.finish(record.id, Status.SUCCEEDED, Answer(result={"x": "seen-in-result"}), [], {})
    await journal.replies_sent([reply.id for reply in await journal.unsent_replies(9)])
    await journal.close()
    with reading(tmp_path / "journal.db") as db:
        assert db.execute("SELECT count(*) FROM replies").get == 0
    # Once: the first answer that is kept for repeats.
    assert raw(tmp_path).count(b"seen-in-result") == 1
