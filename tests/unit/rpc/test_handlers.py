"""The desk, on a real journal and the fake hypervisor: identity, reads, plans."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from agent.errors import Conflict, InvalidRequest, NotFound
from agent.hypervisor.fake.faults import Fault
from agent.journal.records import Address, Caller
from agent.power import PowerStates
from agent.rpc.desk import Call, Request
from agent.rpc.handlers import PIECE, Handlers, Inside
from agent.rpc.schema import METHODS, results
from agent.rpc.validation import validate
from agent.secret import MASK
from tests.unit.operations.conftest import Inside as Agent


@dataclass
class Desk:
    handlers: Handlers
    agent: Agent
    power: PowerStates

    def call(self, method: str, args: dict[str, Any], **given: Any) -> Call:
        fields: dict[str, Any] = {
            "method": method,
            "version": "1.0",
            "args": args,
            "caller": Caller(request_id="req-1"),
            "identity": str(uuid4()),
            "scope": "scheduler",
            "address": Address(format="plain", reply_to="answers"),
        }
        request = Request(**{**fields, **given})
        return Call(METHODS[method], validate(METHODS[method], args), request)

    async def do(self, method: str, args: dict[str, Any], **given: Any) -> None:
        """Accept a change and wait until all work is done."""
        await self.handlers.accept(self.call(method, args, **given))
        await self.agent.instances.wait_until_idle()

    async def read(self, method_: str, **args: Any) -> Any:
        return await self.handlers.answer(self.call(method_, args))

    async def answers(self) -> list[dict[str, Any]]:
        replies = await self.agent.journal.unsent_replies(100)
        return [reply.answer.model_dump() for reply in replies]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    agent = await Agent.open(tmp_path)
    power = PowerStates(agent.journal, lambda *_: None, agent.hypervisor.domains)
    inside = Inside(
        host="h1",
        version="1",
        journal=agent.journal,
        hypervisor=agent.hypervisor,
        instances=agent.instances,
        operations=agent.operations,
        power=power,
    )
    yield Desk(Handlers(inside), agent, power)
    await agent.close()


def instance(**fields: Any) -> dict[str, Any]:
    return {"instance": {"uuid": str(uuid4()), "name": "vm1", "vcpus": 1, "memory_mb": 64, **fields}}


async def test_the_same_identity_gets_the_first_answer_again_and_no_second_effect(desk: Desk) -> None:
    args = instance()
    await desk.do("spawn", args, identity="one")
    await desk.do("spawn", args, identity="one")
    first, again = await desk.answers()
    assert first == again
    assert len((await desk.read("list_operations")).operations) == 1


async def test_the_same_identity_with_other_arguments_is_a_conflict(desk: Desk) -> None:
    await desk.do("spawn", instance(), identity="one")
    with pytest.raises(Conflict):
        await desk.do("spawn", instance(), identity="one")


async def test_identities_of_two_users_do_not_meet(desk: Desk) -> None:
    await desk.do("spawn", instance(), identity="one", scope="a")
    await desk.do("spawn", instance(), identity="one", scope="b")
    assert len((await desk.read("list_operations")).operations) == 2


async def test_deadlines_and_context_do_not_make_a_request_another_one(desk: Desk) -> None:
    args = instance()
    await desk.do("spawn", args, identity="one")
    later = datetime.now(UTC) + timedelta(hours=1)
    await desk.do("spawn", args, identity="one", deadline=later, caller=Caller(request_id="req-2"))
    assert len(await desk.answers()) == 2


async def test_an_idempotency_key_takes_the_place_of_the_message_id(desk: Desk) -> None:
    args = {**instance(), "idempotency_key": "mine"}
    await desk.do("spawn", args, identity="one")
    await desk.do("spawn", args, identity="two")
    assert len((await desk.read("list_operations")).operations) == 1


async def test_a_repeat_that_comes_after_the_deadline_gets_the_first_answer(desk: Desk) -> None:
    args = instance()
    now = datetime.now(UTC)
    await desk.do("spawn", args, identity="one", deadline=now + timedelta(hours=1))
    await desk.do("spawn", args, identity="one", deadline=now - timedelta(seconds=1))
    assert [answer["error"] for answer in await desk.answers()] == [None, None]


async def test_a_spawn_without_a_deadline_gets_one(desk: Desk) -> None:
    await desk.do("spawn", instance())
    [operation] = (await desk.read("list_operations")).operations
    assert operation.not_after is not None


async def test_an_instance_is_listed_with_its_state_and_found_by_uuid(desk: Desk) -> None:
    args = instance(metadata={"role": "db"}, owner={"project_id": "p1"})
    await desk.do("spawn", args)
    [shown] = (await desk.read("list_instances")).instances
    assert (shown.power_state, shown.power_state_code, shown.generation) == ("running", 1, 1)
    assert shown.metadata == {"role": "db"}
    assert (await desk.read("get_instance", instance_uuid=args["instance"]["uuid"])).instance == shown


@pytest.mark.parametrize("filter_", [{"power_state": "paused"}, {"name": "other"}, {"project_id": "p2"}])
async def test_filters_leave_out_what_does_not_match(desk: Desk, filter_: dict[str, str]) -> None:
    await desk.do("spawn", instance(owner={"project_id": "p1"}))
    assert (await desk.read("list_instances", **filter_)).instances == ()


@pytest.mark.parametrize("trouble", [{"error": "unavailable"}, {"error": "timed_out"}])
async def test_what_can_not_be_asked_is_unknown_with_the_last_state_beside_it(
    desk: Desk, trouble: dict[str, Any]
) -> None:
    args = instance()
    await desk.do("spawn", args)
    following = asyncio.create_task(desk.power.follow(desk.agent.hypervisor.observations()))
    while desk.power.last_known(next(iter(desk.agent.world.domains()))) is None:
        await asyncio.sleep(0.01)
    following.cancel()
    desk.agent.world.faults.add(Fault(call="domains.*", **trouble))
    shown = (await desk.read("get_instance", instance_uuid=args["instance"]["uuid"])).instance
    assert (shown.power_state, shown.last_known) == ("unknown", "running")
    [listed] = (await desk.read("list_instances")).instances
    assert listed.power_state == "unknown"


async def test_what_is_not_here_is_not_found(desk: Desk) -> None:
    for method in ("get_instance", "get_diagnostics", "get_console_output"):
        with pytest.raises(NotFound):
            await desk.read(method, instance_uuid=str(uuid4()))
    with pytest.raises(NotFound):
        await desk.read("get_operation", operation_id=str(uuid4()))


async def test_an_operation_shows_its_steps_and_where_its_time_went(desk: Desk) -> None:
    await desk.do("spawn", instance())
    [listed] = (await desk.read("list_operations", method="spawn", status="succeeded")).operations
    shown = (await desk.read("get_operation", operation_id=str(listed.id))).operation
    assert [step.name for step in shown.steps][:2] == ["check", "images"]
    assert {step.mark for step in shown.steps} == {"done"}
    assert shown.shares["own"] <= shown.shares["total"]


async def test_an_unknown_status_is_refused_with_those_that_are_known(desk: Desk) -> None:
    with pytest.raises(InvalidRequest, match="succeeded"):
        await desk.read("list_operations", status="done")


async def test_an_unknown_power_state_is_refused_with_those_that_are_known(desk: Desk) -> None:
    with pytest.raises(InvalidRequest, match="running"):
        await desk.read("list_instances", power_state="on")


async def test_events_are_replayed_as_they_were_numbered(desk: Desk) -> None:
    await desk.do("spawn", instance())
    replayed: results.Replayed = await desk.read("replay_events", from_sequence=1)
    assert [event["type"] for event in replayed.events] == [
        "compute.instance.spawn.start",
        "compute.instance.spawn.end",
    ]
    assert replayed.next_sequence == 3
    assert (await desk.read("replay_events", from_sequence=3)).events == ()


async def test_a_plan_shows_steps_resources_and_xml_and_does_nothing(desk: Desk) -> None:
    volume = {"driver_volume_type": "file", "serial": "vol-1", "data": {"path": "/v/1.raw"}}
    disks = [{"kind": "blank", "size_mb": 64}, {"kind": "volume", "connection_info": volume}]
    args = instance(disks=disks, interfaces=[{"type": "bridge", "bridge": "br0"}])
    planned: results.Planned = await desk.read("plan", method="spawn", args=args)
    assert [(step.name, step.undo) for step in planned.steps][0::6] == [("check", False), ("start", True)]
    assert planned.resources == {
        "vcpus": 1,
        "memory_mb": 64,
        "disk_mb": 64,
        "images": [],
        "volumes": ["vol-1"],
        "interfaces": ["bridge:br0"],
    }
    assert planned.xml is not None
    assert "<domain" in planned.xml
    assert "/v/1.raw" in planned.xml
    assert desk.agent.world.domains() == {}


async def test_a_plan_needs_no_secret(desk: Desk) -> None:
    drive = {"admin_pass": MASK, "files": [{"path": "/etc/motd", "content": MASK}]}
    planned = await desk.read("plan", method="spawn", args=instance(config_drive=drive))
    assert planned.xml is not None
    assert planned.problems == ()


async def test_a_plan_shows_what_is_in_the_way_beside_the_rest(desk: Desk) -> None:
    disk = {"kind": "image", "image": {"url": "/nowhere/a.qcow2"}}
    planned = await desk.read("plan", method="spawn", args=instance(disks=[disk]))
    [problem] = planned.problems
    assert "instance.disks[0].image.url" in problem
    assert planned.resources["images"] == ["/nowhere/a.qcow2"]


@pytest.mark.parametrize(
    ("method", "args", "resources"),
    [
        (
            "attach_volume",
            {"connection_info": {"driver_volume_type": "file", "serial": "v1", "data": {"path": "/v"}}},
            {"volumes": ["v1"]},
        ),
        ("attach_interface", {"vif": {"type": "network", "network": "lan"}}, {"interfaces": ["network:lan"]}),
        ("pause", {}, {}),
    ],
)
async def test_a_plan_names_what_a_change_needs_of_the_host(
    desk: Desk, method: str, args: dict[str, Any], resources: dict[str, Any]
) -> None:
    planned = await desk.read("plan", method=method, args={"instance_uuid": str(uuid4()), **args})
    assert planned.resources == resources
    assert planned.xml is None


async def test_a_plan_refuses_what_the_method_would_refuse(desk: Desk) -> None:
    with pytest.raises(InvalidRequest, match="vcpus"):
        await desk.read("plan", method="spawn", args=instance(vcpus=0))
    with pytest.raises(InvalidRequest, match="method"):
        await desk.read("plan", method="ping", args={})


async def test_secrets_are_in_no_plan_no_event_and_no_answer(desk: Desk) -> None:
    drive = {"admin_pass": "canary-1", "user_data": "canary-2"}
    args = instance(config_drive=drive)
    planned = await desk.read("plan", method="spawn", args=args)
    await desk.do("spawn", args)
    shown = await desk.read("list_instances")
    replayed = await desk.read("replay_events", from_sequence=1)
    operations = await desk.read("list_operations")
    for seen in (planned, shown, replayed, operations):
        assert "canary" not in seen.model_dump_json()
    assert "canary" not in repr(await desk.answers())


@pytest.mark.parametrize(
    ("not_after", "code"),
    [("0001-01-01T00:00:00+23:59", "expired"), ("9999-12-31T23:59:59-23:59", "not_found")],
)
async def test_a_deadline_beyond_the_calendar_is_its_first_or_last_moment(
    desk: Desk, not_after: str, code: str
) -> None:
    await desk.do("start", {"instance_uuid": str(uuid4()), "not_after": not_after})
    [answer] = await desk.answers()
    assert answer["error"]["code"] == code


async def test_no_number_of_an_event_is_too_great_to_be_asked_for(desk: Desk) -> None:
    assert (await desk.read("replay_events", from_sequence=2**63 - 1, limit=1000)).events == ()
    with pytest.raises(InvalidRequest, match="from_sequence"):
        await desk.read("replay_events", from_sequence=2**63)


async def test_the_generation_that_is_shown_is_the_one_that_is_asked_for(desk: Desk) -> None:
    args = instance()
    uuid = {"instance_uuid": args["instance"]["uuid"]}
    await desk.do("spawn", args)
    desk.agent.world.faults.add(Fault(call="domains.pause", error="operation_failed", times=1))
    await desk.do("pause", uuid)  # a generation of its own, that the domain never got
    shown = (await desk.read("get_instance", **uuid)).instance.generation
    assert (await desk.read("list_instances")).instances[0].generation == shown
    await desk.do("start", uuid)
    await desk.do("pause", {**uuid, "if_generation": shown})
    already, paused = [answer["result"] for answer in (await desk.answers())[-2:]]
    assert (already["already"], already["generation"]) == (True, shown)
    assert paused["generation"] == shown + 1


async def test_a_long_list_of_operations_is_all_of_them_newest_first(desk: Desk) -> None:
    absent = [str(uuid4()) for _ in range(2 * PIECE + 10)]
    for uuid in absent:
        await desk.do("start", {"instance_uuid": uuid})
    for limit in (PIECE, PIECE + 1, 2 * PIECE, 1000):
        listed = (await desk.read("list_operations", limit=limit)).operations
        assert [str(operation.instance_uuid) for operation in listed] == absent[::-1][:limit]
    half = listed[PIECE + 5]
    rest = (await desk.read("list_operations", limit=1000, before=str(half.id))).operations
    assert rest == listed[PIECE + 6 :]
