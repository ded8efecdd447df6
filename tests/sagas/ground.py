"""An agent's inside on which every call of the hypervisor is counted and any one of them can be struck.

    calls = Calls([Strike(7, Fault(call="", when="half", error="no_capacity"))])
    inside = await opened(directory, calls)

The seventh call that operations make then fails by half, whichever it is. The fake's own gate does the
striking, so a call that has no half passes.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID

from agent.hypervisor.fake.control import FakeWorld
from agent.hypervisor.fake.driver import fake_driver
from agent.hypervisor.fake.faults import Fault
from agent.instances import Instances
from agent.journal import Journal
from agent.journal.sealing import KeyFile
from agent.operations.control import CONTROL
from agent.operations.runner import Operations
from agent.operations.turn import Limits
from tests.unit.operations.conftest import Inside

FAST = {"boot_seconds": 0.0, "shutdown_seconds": 0.01}


@dataclass(frozen=True)
class Strike:
    """`fault` hits the call with this number, counted from 0; its `call` is filled in."""

    at: int
    fault: Fault


@dataclass
class Calls:
    """What was called, in order, and what strikes when."""

    strikes: Sequence[Strike] = ()
    made: list[str] = field(default_factory=list)

    def coming(self, call: str, world: FakeWorld) -> None:
        for strike in self.strikes:
            if strike.at == len(self.made):
                world.faults.add(strike.fault.model_copy(update={"call": call, "times": 1}))
        self.made.append(call)

    def forget(self) -> None:
        """Count from here."""
        self.made.clear()


class Counted:
    """A port whose calls are counted: those that pass the fake's gate."""

    def __init__(self, name: str, port: Any, coming: Callable[[str], None]) -> None:
        self._name, self._port, self._coming = name, port, coming

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        if not (inspect.iscoroutinefunction(method) and hasattr(method, "__wrapped__")):
            return method

        async def counted(*args: Any, **kwargs: Any) -> Any:
            self._coming(f"{self._name}.{name}")
            return await method(*args, **kwargs)

        return counted


async def opened(directory: Path, calls: Calls | None = None) -> Inside:
    """`directory` is that of an earlier one, after a stop, or empty."""
    directory.mkdir(exist_ok=True)
    world = FakeWorld(directory)
    world.configure(**FAST)
    hypervisor = fake_driver(directory, hostname="h1", poll=0.02, detach_timeout=0.3)
    if calls is not None:
        counted: dict[str, Any] = {
            name: Counted(name, getattr(hypervisor, name), lambda call: calls.coming(call, world))
            for name in ("domains", "disks", "volumes", "nics")
        }
        hypervisor = replace(hypervisor, **counted)
    key = KeyFile.load_or_create(directory / "journal.key")
    journal = await Journal.open(directory / "journal.db", key, host="h1")
    instances = Instances(max_waiting=4)
    limits = Limits(spawn_timeout_s=30, operation_timeout_s=30, max_pending=1000)
    operations = Operations(journal, hypervisor, instances, limits, lambda *_: None, CONTROL)
    return Inside(directory, journal, hypervisor, instances, operations, world)


def picture(inside: Inside) -> dict[str, Any]:
    """All there is outside the journal, without times and numbers that may differ from run to run."""
    world, disks = inside.directory / "world", inside.directory / "instances"
    return {
        "domains": {str(uuid): _domain(inside, uuid) for uuid in sorted(inside.world.domains())},
        "taps": sorted(path.name for path in (world / "taps").iterdir()),
        "volumes": sorted(path.name for path in (world / "volumes").iterdir()),
        "disks": sorted(str(path.relative_to(disks)) for path in disks.rglob("*")),
    }


def _domain(inside: Inside, uuid: UUID) -> dict[str, Any]:
    domain = inside.world.domains()[uuid]
    having = (domain, domain.live)
    return {
        "state": domain.state.value,
        "persistent": domain.persistent,
        "reset": domain.resets > 0,
        "spec": domain.spec is not None,
        "disks": [sorted(disk.id for disk in it.disks) if it else None for it in having],
        "ports": [sorted(nic.port_id for nic in it.interfaces) if it else None for it in having],
    }
