"""A talk with an agent in the plain format, as any language would have it, in which every message of the contract
is said once: what the published examples are recorded from, and what the published schemas are tried on.

The agent is a whole one with the fake driver, in this process; the broker is a real one.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractQueue
from pydantic import SecretStr

from agent.hypervisor.fake.control import FakeWorld
from agent.hypervisor.fake.faults import Fault
from agent.rpc.schema.asyncapi.messages import named, result_of
from agent.service import Service
from agent.settings import Amqp, Hypervisor, Operations, Settings, Storage

HOST = "compute-1"
SOON = 60.0  # seconds; what a loaded box may need

Body = dict[str, Any]


@dataclass(frozen=True)
class Said:
    """One message as it was on the wire. `message`: its name in the schema; `about`: what it shows."""

    message: str
    about: str
    body: Body
    headers: Body = field(default_factory=dict)


@dataclass(frozen=True)
class Under:
    """A call under way."""

    request_id: str
    answer: asyncio.Future[Body]


@dataclass
class Talk:
    """A client's side, that writes down all that is said."""

    channel: AbstractChannel
    replies: AbstractQueue
    world: FakeWorld
    images: Path
    said: list[Said] = field(default_factory=list)
    waiting: dict[str, tuple[str, str, asyncio.Future[Body]]] = field(default_factory=dict)
    told: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def ask(self, method: str, args: Body | None = None, about: str = "") -> Body:
        """Call and wait: the answer's body."""
        return await (await self.begin(method, args, about)).answer

    async def begin(self, method: str, args: Body | None = None, about: str = "") -> Under:
        """Call, and leave it under way."""
        request, number = self._request(method, args, about), uuid4().hex
        future: asyncio.Future[Body] = asyncio.get_running_loop().create_future()
        self.waiting[number] = (method, about, future)
        await self._publish(request, correlation_id=number, reply_to=self.replies.name)
        return Under(request["context"]["request_id"], future)

    async def cast(self, method: str, args: Body, about: str) -> None:
        await self._publish(self._request(method, args, about))

    async def event(self, message: str, **data: Any) -> Body:
        """The first event of that name with these in its data, told or yet to come."""
        async with asyncio.timeout(SOON), self.told:
            while True:
                for said in self.said:
                    if said.message == message and data.items() <= said.body.get("data", {}).items():
                        return said.body
                await self.told.wait()

    async def parked(self) -> None:
        async with asyncio.timeout(SOON), self.told:
            await self.told.wait_for(lambda: any(said.message == "parked" for said in self.said))

    def _request(self, method: str, args: Body | None, about: str) -> Body:
        request: Body = {"method": method, "version": "1.0"}
        if args is not None:
            request["args"] = args
        request["context"] = {"request_id": f"req-{len(self.said) + 1}", "project_id": "shop"}
        self.said.append(Said(method, about or "as it is sent", request))
        return request

    async def _publish(self, request: Body, **properties: str) -> None:
        message = aio_pika.Message(
            json.dumps(request).encode(),
            content_type="application/json",
            message_id=uuid4().hex,
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            **properties,  # type: ignore[arg-type]
        )
        exchange = await self.channel.get_exchange("compute")
        await exchange.publish(message, routing_key=f"compute.{HOST}")

    async def hear_answer(self, message: AbstractIncomingMessage) -> None:
        method, about, future = self.waiting.pop(message.correlation_id or "")
        body = json.loads(message.body)
        name = "error" if "error" in body else result_of(method)
        self.said.append(Said(name, body["error"]["code"] if name == "error" else about or "done", body))
        future.set_result(body)

    async def hear_event(self, message: AbstractIncomingMessage) -> None:
        body = json.loads(message.body)
        published = named(body["type"])
        assert published is not None, body["type"]
        await self._note(Said(published.name, body["type"].removeprefix("compute."), body))

    async def hear_parked(self, message: AbstractIncomingMessage) -> None:
        headers = {name: value for name, value in message.headers.items() if name.startswith("x-")}
        await self._note(Said("parked", "refused cast", json.loads(message.body), headers))

    async def _note(self, said: Said) -> None:
        async with self.told:
            self.said.append(said)
            self.told.notify_all()


async def conversation(url: str, directory: Path) -> list[Said]:
    """All that was said. `directory` becomes the agent's state directory."""
    settings = Settings(
        host=HOST,
        state_dir=directory,
        amqp=Amqp(url=SecretStr(url)),
        hypervisor=Hypervisor(driver="fake"),
        storage=Storage(allowed_directories=(directory / "images",)),
        operations=Operations(max_waiting_per_instance=1),
        report_interval_s=1,
    )
    async with _listening(url, directory) as talk:
        service = Service(settings)
        running = asyncio.create_task(service.run())
        try:
            await talk.event("host_started")
            async with asyncio.timeout(4 * SOON):
                await _everything(talk)
        finally:
            service.stop()
            await running
        await talk.event("host_stopping")
    return talk.said


@asynccontextmanager
async def _listening(url: str, directory: Path) -> AsyncIterator[Talk]:
    """Bound before the agent starts, so that its first event is heard."""
    images = directory / "images"
    images.mkdir(parents=True)
    image = images / "debian-12.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", image, "16M"], check=True)
    (images / "data.raw").write_bytes(bytes(1 << 20))
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        replies = await channel.declare_queue(
            f"scheduler-{uuid4().hex}", durable=True, arguments={"x-expires": 600_000}
        )
        talk = Talk(channel, replies, FakeWorld(directory), images)
        events = await channel.declare_exchange("compute.events", "topic", durable=True)
        heard = await channel.declare_queue(exclusive=True)
        await heard.bind(events, "#")
        dead = await channel.declare_exchange("compute.dead", "fanout", durable=True)
        casts = await channel.declare_queue(exclusive=True)
        await casts.bind(dead)
        await replies.consume(talk.hear_answer, no_ack=True)
        await heard.consume(talk.hear_event, no_ack=True)
        await casts.consume(talk.hear_parked, no_ack=True)
        yield talk


async def _everything(talk: Talk) -> None:
    guest = _instance(talk, "web-1")
    uuid = guest["uuid"]
    await talk.ask("ping", None, "is anybody there")
    await talk.ask("get_host")
    await talk.ask("plan", {"method": "spawn", "args": {"instance": guest}})
    await talk.ask("spawn", {"instance": guest}, "a guest on a bridge")
    await _devices(talk, uuid)
    for method in ("pause", "unpause", "suspend", "resume", "stop", "start"):
        await talk.ask(method, {"instance_uuid": uuid})
    await talk.ask("reboot", {"instance_uuid": uuid, "mode": "hard"})
    await talk.event("operation_progress")
    await talk.event("host_report")
    await _reads(talk, uuid)
    await _refusals(talk, guest)
    await _accidents(talk, uuid)
    await talk.ask("destroy", {"instance_uuid": uuid})


async def _devices(talk: Talk, uuid: str) -> None:
    volume = {"volume_id": "data-1", "path": str(talk.images / "data.raw"), "format": "raw"}
    info = {"driver_volume_type": "file", "serial": "data-1", "data": volume}
    vif = {"type": "bridge", "bridge": "br0", "port_id": "port-2"}
    await talk.ask("attach_volume", {"instance_uuid": uuid, "connection_info": info})
    await talk.ask("detach_volume", {"instance_uuid": uuid, "volume_id": "data-1"})
    await talk.ask("attach_interface", {"instance_uuid": uuid, "vif": vif})
    await talk.ask("detach_interface", {"instance_uuid": uuid, "port_id": "port-2"})


async def _reads(talk: Talk, uuid: str) -> None:
    await talk.ask("get_instance", {"instance_uuid": uuid})
    await talk.ask("list_instances", {"project_id": "shop"})
    await talk.ask("get_diagnostics", {"instance_uuid": uuid})
    await talk.ask("get_console_output", {"instance_uuid": uuid, "tail_bytes": 200})
    listed = await talk.ask("list_operations", {"instance_uuid": uuid, "limit": 2})
    await talk.ask("get_operation", {"operation_id": listed["result"]["operations"][0]["id"]})
    await talk.ask("replay_events", {"from_sequence": 1, "limit": 2})


async def _refusals(talk: Talk, guest: Body) -> None:
    """What is refused with nothing done."""
    uuid, nobody = guest["uuid"], str(uuid4())
    late = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    rbd = {"driver_volume_type": "rbd", "serial": "v", "data": {}}
    await talk.ask("spawn", {"instance": {**guest, "vcpus": 0}}, "refused: invalid_request")
    await talk.ask("attach_volume", {"instance_uuid": uuid, "connection_info": rbd}, "refused: unsupported")
    await talk.ask("start", {"instance_uuid": nobody}, "refused: not_found")
    await talk.ask("pause", {"instance_uuid": uuid, "if_generation": 0}, "refused: conflict")
    await talk.ask("pause", {"instance_uuid": uuid, "not_after": late}, "refused: expired")
    huge = {**_instance(talk, "huge"), "memory_mb": 512 * 1024}
    await talk.ask("spawn", {"instance": huge}, "refused: no_capacity")
    secret = {**_instance(talk, "web-2"), "config_drive": {"admin_pass": "correct horse"}, "vcpus": 0}
    await talk.cast("spawn", {"instance": secret}, "refused: invalid_request, as a cast")
    await talk.parked()


async def _accidents(talk: Talk, uuid: str) -> None:
    """What goes wrong while it is done."""
    for code in ("unavailable", "timed_out", "operation_failed", "internal"):
        talk.world.faults.add(Fault(call="domains.pause", error=code, times=1))
        await talk.ask("pause", {"instance_uuid": uuid}, f"ends as {code}")
        if code == "timed_out":
            await talk.ask("abandon_operation", {"operation_id": await _last(talk, uuid)})
    await _busy(talk, uuid)
    await _cancelled(talk)
    await _stuck(talk)


async def _busy(talk: Talk, uuid: str) -> None:
    talk.world.faults.add(Fault(call="domains.pause", hang=True))
    first = await talk.begin("pause", {"instance_uuid": uuid}, "takes its time")
    await talk.event("method_start", request_id=first.request_id)
    second = await talk.begin("unpause", {"instance_uuid": uuid}, "waits for its turn")
    await talk.ask("pause", {"instance_uuid": uuid}, "refused: busy")
    talk.world.faults.clear()
    await asyncio.gather(first.answer, second.answer)


async def _cancelled(talk: Talk) -> None:
    guest = _instance(talk, "slow")
    talk.world.faults.add(Fault(call="domains.start", hang=True))
    spawning = await talk.begin("spawn", {"instance": guest}, "takes its time")
    begun = await talk.event("method_start", request_id=spawning.request_id)
    await talk.ask("cancel_operation", {"operation_id": begun["data"]["operation_id"]})
    await spawning.answer
    talk.world.faults.clear()


async def _stuck(talk: Talk) -> None:
    guest = _instance(talk, "stuck")
    talk.world.faults.add(Fault(call="domains.define", error="operation_failed", times=1))
    talk.world.faults.add(Fault(call="disks.remove", error="operation_failed", times=1))
    await talk.ask("spawn", {"instance": guest}, "gets stuck")
    await talk.ask("retry_operation", {"operation_id": await _last(talk, guest["uuid"])})


async def _last(talk: Talk, uuid: str) -> str:
    listed = await talk.ask("list_operations", {"instance_uuid": uuid, "limit": 1})
    found: str = listed["result"]["operations"][0]["id"]
    return found


def _instance(talk: Talk, name: str) -> Body:
    image = {"url": str(talk.images / "debian-12.qcow2"), "format": "qcow2"}
    return {
        "uuid": str(UUID(int=uuid4().int)),
        "name": name,
        "vcpus": 1,
        "memory_mb": 512,
        "disks": [{"kind": "image", "image": image, "size_mb": 64}],
        "interfaces": [{"type": "bridge", "bridge": "br0", "fixed_ips": [{"address": "192.0.2.20/24"}]}],
        "config_drive": {"hostname": name},
        "metadata": {"team": "shop"},
        "owner": {"project_id": "shop"},
    }
