"""What must be there, told from the journal's answers alone: success in the order of acceptance, applied one by
one to nothing. Exactly one effect for each request is that this equals what is there. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.chaos.hosts import Picture, Seen
from tests.chaos.journal import Row

UNDOABLE = frozenset({"spawn", "attach_volume", "attach_interface"})
"""Failed, they have left nothing. Of the others a failure leaves the state open, until the next that succeeds."""

POWER = {
    "start": "running",
    "stop": "shutdown",
    "reboot": "running",
    "pause": "paused",
    "unpause": "running",
    "suspend": "suspended",
    "resume": "running",
}


@dataclass
class Must:
    """An instance as it must be; `power` None: open. `open`: devices that may or may not be there."""

    power: str | None
    devices: set[str]
    open: set[str]


@dataclass
class Expected:
    """`open`: instances of which nothing is known, since a destroy failed."""

    instances: dict[str, Must]
    open: set[str]


def expect(rows: Iterable[Row], args: Mapping[str, dict[str, Any]]) -> Expected:
    """`args` by message_id. Rows in the order of acceptance."""
    expected = Expected({}, set())
    for row in rows:
        if row.instance is None or row.message_id not in args:
            continue
        if row.status == "succeeded":
            _apply(expected, row, row.instance, args[row.message_id])
        elif row.method not in UNDOABLE and row.steps:
            _unsure(expected, row, row.instance, args[row.message_id])
    return expected


def _apply(expected: Expected, row: Row, uuid: str, args: dict[str, Any]) -> None:
    if row.method == "destroy":
        expected.instances.pop(uuid, None)
        expected.open.discard(uuid)
        return
    if row.result.get("already"):
        return
    if row.method == "spawn":
        ports = {vif["port_id"] for vif in args["instance"]["interfaces"]}
        expected.instances[uuid] = Must("running", ports, set())
        expected.open.discard(uuid)
        return
    must = expected.instances.get(uuid)
    if must is None:
        return
    if row.method in POWER:
        # A paused guest that is reset runs again.
        must.power = POWER[row.method]
    elif row.method.startswith("attach"):
        must.devices.add(device(args))
        must.open.discard(device(args))
    else:
        must.devices.discard(device(args))
        must.open.discard(device(args))


def _unsure(expected: Expected, row: Row, uuid: str, args: dict[str, Any]) -> None:
    must = expected.instances.get(uuid)
    if row.method == "destroy":
        expected.instances.pop(uuid, None)
        expected.open.add(uuid)
    elif must is not None and row.method in POWER:
        must.power = None
    elif must is not None:
        must.open.add(device(args))


def device(args: dict[str, Any]) -> str:
    """The id of what is plugged in or out."""
    if "connection_info" in args:
        return str(args["connection_info"]["data"]["volume_id"])
    if "vif" in args:
        return str(args["vif"]["port_id"])
    return str(args.get("volume_id") or args["port_id"])


def differences(expected: Expected, there: Picture, disturbed: set[str]) -> list[str]:
    """`disturbed`: instances whose power somebody else has changed."""
    found = []
    for uuid in expected.instances.keys() - there.domains.keys() - expected.open:
        found.append(f"instance {uuid} is missing: its spawn succeeded and no destroy did")
    for uuid in there.domains.keys() - expected.instances.keys() - expected.open:
        found.append(f"instance {uuid} is there: no spawn of it succeeded, or a destroy did")
    for uuid in (expected.instances.keys() & there.domains.keys()) - expected.open:
        found += _differs(uuid, expected.instances[uuid], there.domains[uuid], uuid in disturbed)
    return found


def _differs(uuid: str, must: Must, seen: Seen, disturbed: bool) -> list[str]:
    found = [] if seen.disk else [f"instance {uuid} has no disk"]
    if must.power is not None and not disturbed and must.power != seen.power:
        found.append(f"instance {uuid} is {seen.power}, and its last answer says {must.power}")
    for name, has in (("definition", seen.stored), ("guest", seen.live)):
        if has is not None and has - must.open != must.devices - must.open:
            found.append(f"the {name} of {uuid} has {sorted(has)}, and the answers say {sorted(must.devices)}")
    return found
