"""From inner values to the published results: every field is carried over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from agent.hypervisor.ports import DiskView, DomainView, InterfaceView
from agent.journal.records import Caller, EventRecord, OperationRecord, Status, StepRecord
from agent.operations.runner import Doing
from agent.rpc import views
from agent.saga import Mark
from agent.spec import InstanceSpec, Owner, PowerState

ONE, OTHER = UUID(int=1), UUID(int=2)
AT = datetime(2030, 1, 1, tzinfo=UTC)


def domain(generation: int = 4) -> DomainView:
    return DomainView(
        uuid=ONE,
        name="vm1",
        power_state=PowerState.RUNNING,
        reason="booted",
        generation=generation,
        request_id="req-1",
        spec=InstanceSpec(
            uuid=ONE, name="vm1", vcpus=2, memory_mb=64, metadata={"role": "web"}, owner=Owner(project_id="p")
        ),
        disks=(DiskView(id="v1", target="vda", bus="virtio", source="/v", serial="s", removable=True),),
        interfaces=(
            InterfaceView(port_id="p1", type="bridge", mac_address="52:54:00:00:00:01", source="br0", tap="tap1"),
        ),
        vnc_port=5901,
        console_path="/dev/pts/7",
    )


def shown(view: DomainView, **more: Any) -> dict[str, Any]:
    given = {"state": PowerState.RUNNING, "last_known": None, "under_way": (), "generation": 4} | more
    return views.instance(view, **given).model_dump(mode="json")


def test_an_instance_is_shown_with_all_that_is_known_of_it() -> None:
    assert shown(domain(), under_way=(OTHER,)) == {
        "uuid": str(ONE),
        "name": "vm1",
        "power_state": "running",
        "power_state_code": 1,
        "last_known": None,
        "reason": "booted",
        "generation": 4,
        "request_id": "req-1",
        "vcpus": 2,
        "memory_mb": 64,
        "disks": [
            {"id": "v1", "target": "vda", "bus": "virtio", "source": "/v", "serial": "s", "removable": True}
        ],
        "interfaces": [
            {
                "port_id": "p1",
                "type": "bridge",
                "mac_address": "52:54:00:00:00:01",
                "source": "br0",
                "tap": "tap1",
            }
        ],
        "metadata": {"role": "web"},
        "owner": {"project_id": "p", "user_id": None},
        "vnc_port": 5901,
        "console_path": "/dev/pts/7",
        "under_way": [str(OTHER)],
    }


def test_a_guest_whose_spec_is_lost_is_shown_without_what_only_that_told() -> None:
    view = shown(domain().model_copy(update={"spec": None}))
    assert (view["vcpus"], view["memory_mb"], view["metadata"], view["owner"]) == (None, None, {}, {})
    assert view["name"] == "vm1"


def test_a_state_that_is_not_certain_is_unknown_with_the_last_one_beside_it() -> None:
    view = shown(domain(), state=PowerState.UNKNOWN, last_known=PowerState.PAUSED)
    assert (view["power_state"], view["last_known"]) == ("unknown", "paused")


@pytest.mark.parametrize(("of_the_domain", "of_the_journal"), [(9, 4), (4, 9)])
def test_the_higher_generation_counts_as_the_journal_may_have_been_lost(
    of_the_domain: int, of_the_journal: int
) -> None:
    assert shown(domain(of_the_domain), generation=of_the_journal)["generation"] == 9


def record() -> OperationRecord:
    return OperationRecord(
        id=OTHER,
        identity="i",
        method="spawn",
        saga="spawn",
        saga_version=1,
        instance_uuid=ONE,
        caller=Caller(request_id="req-1", global_request_id="req-0", user_id="u", project_id="p"),
        status=Status.FAILED,
        accepted_at=AT,
        begun_at=AT + timedelta(seconds=1),
        ended_at=AT + timedelta(seconds=2),
        not_after=AT + timedelta(seconds=3),
        if_generation=None,
        state=None,
        error={"code": "no_capacity"},
        result=None,
        shares={"total": 1.0},
        steps=(StepRecord("check", Mark.DONE, AT, 0.5),),
    )


def test_an_operation_is_shown_with_all_but_what_it_works_with() -> None:
    assert views.operation(record(), Doing("fetching", 0.5)).model_dump(mode="json") == {
        "id": str(OTHER),
        "method": "spawn",
        "instance_uuid": str(ONE),
        "status": "failed",
        "request_id": "req-1",
        "user_id": "u",
        "project_id": "p",
        "accepted_at": "2030-01-01T00:00:00Z",
        "begun_at": "2030-01-01T00:00:01Z",
        "ended_at": "2030-01-01T00:00:02Z",
        "not_after": "2030-01-01T00:00:03Z",
        "progress": 0.5,
        "doing": "fetching",
        "steps": [{"name": "check", "mark": "done", "at": "2030-01-01T00:00:00Z", "seconds": 0.5}],
        "shares": {"total": 1.0},
        "error": {"code": "no_capacity"},
    }


def test_an_operation_that_is_not_under_way_is_doing_nothing() -> None:
    view = views.operation(record(), None)
    assert (view.progress, view.doing) == (None, None)


def test_an_event_is_known_by_its_stream_and_its_place_in_it() -> None:
    told = EventRecord(
        sequence=7, stream=OTHER, source="/compute/h1", type="t", subject=ONE, time=AT, data={"a": 1}
    )
    event = views.cloud_event(told)
    assert (event.id, event.sequence) == (f"{OTHER}:7", "00000000000000000007")
    assert (event.source, event.type, event.subject, event.time) == ("/compute/h1", "t", str(ONE), AT)
    assert (event.stream, event.data) == (OTHER, {"a": 1})


def test_two_events_without_a_number_are_told_apart() -> None:
    def event(at: datetime, subject: UUID | None = ONE) -> Any:
        return views.ephemeral_event("h1", "t", subject, at, {})

    ids = {event(AT).id, event(AT + timedelta(milliseconds=1)).id, event(AT, OTHER).id, event(AT, None).id}
    assert len(ids) == 4
    assert event(AT).sequence is None
    assert event(AT).source == "/compute/h1"
