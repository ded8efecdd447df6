"""Canary secrets, sent through every path, are found where they belong and nowhere else."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any
from uuid import uuid4

from agent.hypervisor.fake.control import FakeWorld
from agent.hypervisor.fake.faults import Fault
from tests.e2e.daemon import Daemon
from tests.e2e.plain import PlainClient
from tests.e2e.story import small, uuid_of
from tests.rig import Rig, blank

PASSWORD, USER_DATA, FILE, VOLUME = (f"canary-{name}-{uuid4().hex}" for name in ("pass", "user", "file", "volume"))
CANARIES = [PASSWORD, USER_DATA, FILE, VOLUME, base64.b64encode(FILE.encode()).decode()]


def drive() -> dict[str, Any]:
    return {
        "admin_pass": PASSWORD,
        "user_data": USER_DATA,
        "files": [{"path": "/etc/canary", "content": base64.b64encode(FILE.encode()).decode()}],
    }


def found_in(what: str) -> list[str]:
    return [canary for canary in CANARIES if canary in what]


def arguments(process: Path) -> str:
    try:
        return (process / "cmdline").read_bytes().decode("latin-1")
    except OSError:  # it has ended meanwhile
        return ""


async def dead_letters(client: PlainClient, count: int) -> str:
    parked = [await client.dead_letter() for _ in range(count)]
    return "".join(f"{message.body!r} {message.headers!r}" for message in parked)


async def test_secrets_are_where_they_belong_and_nowhere_else(
    rig: Rig, agent: Daemon, client: PlainClient
) -> None:
    seen: dict[str, str] = {}
    args = small(config_drive=drive())
    it = {"instance_uuid": uuid_of(args)}
    volume = blank(rig.directory / "canary.raw", "1M")
    data = {"path": str(volume), "volume_id": "vol", "auth_username": "u", "auth_password": VOLUME}
    info = {"driver_volume_type": "file", "data": data}

    # Every path a secret can take: plan, call, repeat, failing call, failing casts before and after acceptance.
    seen["plan"] = json.dumps(await client.call("plan", {"method": "spawn", "args": args}))
    seen["answer"] = json.dumps(await client.call("spawn", args, message_id="one"))
    seen["repeat"] = json.dumps(await client.call("spawn", args, message_id="one"))
    seen["attach"] = json.dumps(await client.call("attach_volume", {**it, "connection_info": info}))
    other = {"instance": {**args["instance"], "vcpus": 2}}
    seen["conflict"] = json.dumps(await client.fail("spawn", other))
    wrong = {"instance": {**args["instance"], "vcpus": "many", "config_drive": {**drive(), "admin_pas": PASSWORD}}}
    seen["invalid"] = json.dumps(await client.fail("spawn", wrong))
    unsupported = {**it, "connection_info": {"driver_volume_type": "rbd", "data": data, "serial": "v"}}
    seen["unsupported"] = json.dumps(await client.fail("attach_volume", unsupported))
    await client.cast("spawn", other)
    await client.cast("spawn", wrong)
    await client.cast("attach_volume", unsupported)
    await client.send(f'{{"method": "spawn", "admin_pass": "{PASSWORD}"'.encode(), message_id=str(uuid4()))
    seen["dead letters"] = await dead_letters(client, 4)

    for method, more in (("get_instance", it), ("list_instances", {}), ("list_operations", {}), ("get_host", {})):
        seen[method] = json.dumps(await client.call(method, more))
    seen["replay"] = json.dumps(await client.call("replay_events", {"from_sequence": 1, "limit": 1000}))
    seen["events"] = json.dumps(client.events)
    for flags in ([], ["--inactive"], ["--security-info"]):
        seen[f"domain XML {flags}"] = rig.libvirtd.virsh("dumpxml", uuid_of(args), *flags)
    seen["log"] = agent.log.read_text()
    for file in agent.state_dir.glob("journal*"):
        seen[file.name] = file.read_bytes().decode("latin-1")
    seen["arguments of processes"] = "".join(map(arguments, Path("/proc").glob("[0-9]*")))

    assert {name: found_in(text) for name, text in seen.items() if found_in(text)} == {}
    assert rig.broker.identity.password not in seen["log"]
    assert "journal.db-wal" in seen
    # The control: the test would find them, for they are on the config drive.
    drives = [path for path in (agent.state_dir / "instances" / uuid_of(args)).iterdir() if "config" in path.name]
    assert found_in(drives[0].read_bytes().decode("latin-1"))
    await client.call("destroy", it)


async def test_what_is_under_way_is_kept_encrypted(fake_agent: Daemon, client: PlainClient) -> None:
    world = FakeWorld(fake_agent.state_dir)
    world.faults.add(Fault(call="domains.start", hang=True))
    args = small(config_drive=drive())
    await client.cast("spawn", args)
    await client.event("compute.instance.spawn.start")
    fake_agent.kill()
    kept = "".join(file.read_bytes().decode("latin-1") for file in fake_agent.state_dir.glob("journal*"))
    assert "sealed" in kept
    assert found_in(kept) == []
    world.faults.clear()
    fake_agent.start()
    await client.event("compute.instance.spawn.end")
    fake_agent.stop()
    for file in fake_agent.state_dir.glob("journal.db*"):
        assert b"gAAAA" not in file.read_bytes(), f"{file.name} still holds what was sealed"
