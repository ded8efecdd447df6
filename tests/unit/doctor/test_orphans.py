"""What is an orphan: one rule a line."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from agent.doctor.orphans import Ground, orphans, reason
from agent.hypervisor.remains import Inventory, Kind, Thing
from agent.journal.reading import Knowledge, Word
from agent.journal.records import Status

INSTANCE = UUID(int=1)
OTHER = UUID(int=2)
PLACE = Path("/state/instances")
THINGS = {
    Kind.DOMAIN: Thing(kind=Kind.DOMAIN, id=str(INSTANCE), instance=INSTANCE),
    Kind.DIRECTORY: Thing(kind=Kind.DIRECTORY, id=str(INSTANCE), instance=INSTANCE, path=PLACE / str(INSTANCE)),
    Kind.FILE: Thing(
        kind=Kind.FILE, id=f"{INSTANCE}/a.part", instance=INSTANCE, path=PLACE / str(INSTANCE) / "a.part"
    ),
    Kind.TAP: Thing(kind=Kind.TAP, id="tapa", instance=INSTANCE),
    Kind.SECRET: Thing(kind=Kind.SECRET, id=str(UUID(int=9)), instance=INSTANCE),
}


def word(method: str, status: Status) -> dict[UUID, Word]:
    return {INSTANCE: Word(uuid4(), method, status, datetime(2026, 3, 1, tzinfo=UTC))}


def ground(kind: Kind, *, guest: bool | None = None, running: bool = False, **known: Any) -> Ground:
    """One thing; its instance has a domain when the thing is one, or lies in a guest's directory."""
    thing = THINGS[kind]
    has_domain = kind in (Kind.DOMAIN, Kind.FILE) if guest is None else guest
    used = {name: known.pop(name) for name in ("paths", "taps") if name in known}
    inventory = Inventory(things=(thing,), guests=frozenset({INSTANCE} if has_domain else ()), **used)
    return Ground(inventory, Knowledge(**{"met": frozenset({OTHER}), **known}), running)


def why(kind: Kind, **known: Any) -> str | None:
    return reason(THINGS[kind], ground(kind, **known))


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("last", [{}, word("destroy", Status.SUCCEEDED)])
def test_what_an_operation_is_at_or_left_unsettled_is_no_orphan(kind: Kind, last: dict[UUID, Word]) -> None:
    assert why(kind, last=last) is not None
    assert why(kind, last=last, busy=frozenset({INSTANCE})) is None
    assert why(kind, last=last, busy=frozenset({OTHER})) is not None


@pytest.mark.parametrize(
    ("method", "status", "gone"),
    [
        ("destroy", Status.SUCCEEDED, True),
        ("destroy", Status.FAILED, False),
        ("destroy", Status.ABANDONED, False),
        ("spawn", Status.SUCCEEDED, False),
        ("spawn", Status.FAILED, True),
        ("spawn", Status.CANCELLED, True),
        ("spawn", Status.ABANDONED, False),
        ("start", Status.SUCCEEDED, False),
        ("start", Status.FAILED, False),
    ],
)
@pytest.mark.parametrize("running", [False, True])
def test_a_domain_is_a_ghost_when_the_last_word_is_that_nothing_is_left(
    method: str, status: Status, gone: bool, running: bool
) -> None:
    found = why(Kind.DOMAIN, last=word(method, status), met=frozenset({INSTANCE}), running=running)
    assert (found is not None) is gone
    assert found is None or f"{method} {status.value}" in found


def test_a_domain_that_the_journal_has_never_heard_of_is_an_orphan_while_no_agent_runs() -> None:
    assert why(Kind.DOMAIN) is not None
    assert why(Kind.DOMAIN, running=True) is None
    assert why(Kind.DOMAIN, met=frozenset({INSTANCE})) is None


def test_a_new_journal_makes_no_domain_an_orphan() -> None:
    """After its loss all guests are unknown, and the first listing takes them up."""
    assert why(Kind.DOMAIN, met=frozenset()) is None


def test_a_directory_is_an_orphan_when_its_instance_has_no_domain_and_no_domain_uses_it() -> None:
    assert why(Kind.DIRECTORY, last=word("spawn", Status.SUCCEEDED)) is not None
    assert why(Kind.DIRECTORY, guest=True) is None
    assert why(Kind.DIRECTORY, paths=frozenset({PLACE / str(INSTANCE) / "root.qcow2"})) is None
    assert why(Kind.DIRECTORY, paths=frozenset({PLACE / str(INSTANCE)})) is None
    assert why(Kind.DIRECTORY, paths=frozenset({PLACE, PLACE / f"{INSTANCE}-not", PLACE / str(OTHER)})) is not None


def test_a_directory_that_a_destroy_may_have_left_on_purpose_says_so() -> None:
    assert "on purpose" in str(why(Kind.DIRECTORY, last=word("destroy", Status.SUCCEEDED)))
    assert "on purpose" not in str(why(Kind.DIRECTORY, last=word("spawn", Status.FAILED)))


def test_a_directory_whose_removal_was_begun_is_an_orphan_though_a_new_guest_has_its_uuid() -> None:
    aside = THINGS[Kind.DIRECTORY].model_copy(
        update={"id": f".gone-{INSTANCE}", "path": PLACE / f".gone-{INSTANCE}"}
    )
    assert reason(aside, ground(Kind.DIRECTORY, guest=True)) is not None


def test_a_half_made_file_is_told_in_a_guests_directory_alone() -> None:
    assert why(Kind.FILE) is not None
    assert why(Kind.FILE, guest=False) is None
    assert why(Kind.FILE, paths=frozenset({PLACE / str(INSTANCE) / "a.part"})) is None


def test_a_tap_is_an_orphan_when_no_domain_of_anybody_has_it() -> None:
    assert why(Kind.TAP) is not None
    assert why(Kind.TAP, guest=True) is not None
    assert why(Kind.TAP, taps=frozenset({"tapa"})) is None


def test_a_secret_is_kept_as_long_as_its_instance_has_a_domain() -> None:
    assert why(Kind.SECRET) is not None
    assert why(Kind.SECRET, guest=True) is None


def test_each_orphan_says_how_to_remove_it() -> None:
    (found,) = orphans(ground(Kind.TAP))
    assert found.mend == "agent-cli doctor --remove tap:tapa"
