"""What must be there is told from the answers alone, and whatever differs from it is named."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.chaos.expected import differences, expect
from tests.chaos.hosts import Picture, Seen
from tests.chaos.journal import Row

UUID = "6f1c0f4e-5a0e-4c66-8a0b-0f3d5e9a1c11"
SPAWN = {"instance": {"interfaces": [{"port_id": "p9"}]}}
VOLUME = {"connection_info": {"data": {"volume_id": "v0"}}}


def row(number: int, method: str, status: str = "succeeded", **result: Any) -> Row:
    return Row(number, f"op-{number}", f"m-{number}", method, UUID, status, {"result": result}, {method: "done"})


def seen(power: str = "running", *devices: str, live: frozenset[str] | None = None) -> Picture:
    stored = frozenset({"p9", *devices})
    return Picture({UUID: Seen(power, stored, stored if live is None else live)})


def found(
    there: Picture, *asked: tuple[Row, dict[str, Any]], disturbed: frozenset[str] = frozenset()
) -> list[str]:
    rows, args = [row for row, _ in asked], {row.message_id: args for row, args in asked}
    return differences(expect(rows, args), there, set(disturbed))


SPAWNED: tuple[Row, dict[str, Any]] = (row(1, "spawn"), SPAWN)


def test_a_guest_that_is_as_its_answers_say_holds() -> None:
    attached = (row(2, "attach_volume"), VOLUME)
    assert found(seen("paused", "v0"), SPAWNED, attached, (row(3, "pause"), {})) == []


def test_a_guest_that_is_missing_is_seen() -> None:
    [line] = found(Picture(), SPAWNED)
    assert "is missing" in line


def test_a_guest_whose_spawn_failed_is_seen() -> None:
    [line] = found(seen(), (row(1, "spawn", "failed"), SPAWN))
    assert "no spawn of it succeeded" in line


def test_a_guest_that_outlived_its_destroy_is_seen() -> None:
    [line] = found(seen(), SPAWNED, (row(2, "destroy"), {}))
    assert "or a destroy did" in line


def test_a_device_that_is_missing_or_too_many_is_seen_in_definition_and_guest() -> None:
    assert len(found(seen(), SPAWNED, (row(2, "attach_volume"), VOLUME))) == 2
    assert len(found(seen("running", "v0"), SPAWNED)) == 2
    [line] = found(seen("running", "v0", live=frozenset({"p9"})), SPAWNED, (row(2, "attach_volume"), VOLUME))
    assert "the guest of" in line


def test_a_guest_without_its_disk_is_seen_unless_a_destroy_was_left_half_done() -> None:
    bare = Picture({UUID: replace(seen().domains[UUID], disk=False)})
    [line] = found(bare, SPAWNED)
    assert "has no disk" in line
    assert found(bare, SPAWNED, (row(2, "destroy", "failed"), {})) == []


def test_a_failed_attach_that_left_its_device_is_seen() -> None:
    assert found(seen("running", "v0"), SPAWNED, (row(2, "attach_volume", "failed"), VOLUME))


def test_a_state_of_power_that_no_answer_told_is_seen_unless_somebody_else_changed_it() -> None:
    [line] = found(seen("shutdown"), SPAWNED)
    assert "is shutdown, and its last answer says running" in line
    assert found(seen("shutdown"), SPAWNED, disturbed=frozenset({UUID})) == []


def test_what_has_no_undo_leaves_its_matter_open_until_it_is_asked_again() -> None:
    attached = (row(2, "attach_volume"), VOLUME)
    failed = (row(3, "detach_volume", "failed"), {"volume_id": "v0"})
    again = (row(4, "detach_volume"), {"volume_id": "v0"})
    for there in (seen(), seen("running", "v0")):
        assert found(there, SPAWNED, attached, failed) == []
    assert found(seen("running", "v0"), SPAWNED, attached, failed, again)
