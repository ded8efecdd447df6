"""Every changing method on an instance, by name."""

from __future__ import annotations

from typing import Any

from agent.operations.base import Operation
from agent.operations.destroy import DESTROY
from agent.operations.interfaces import ATTACH_INTERFACE, DETACH_INTERFACE
from agent.operations.power import PAUSE, REBOOT, RESUME, START, STOP, SUSPEND, UNPAUSE
from agent.operations.spawn import SPAWN
from agent.operations.volumes import ATTACH_VOLUME, DETACH_VOLUME

TABLE: dict[str, Operation[Any]] = {
    operation.method: operation
    for operation in (
        SPAWN,
        DESTROY,
        ATTACH_VOLUME,
        DETACH_VOLUME,
        ATTACH_INTERFACE,
        DETACH_INTERFACE,
        START,
        STOP,
        REBOOT,
        PAUSE,
        UNPAUSE,
        SUSPEND,
        RESUME,
    )
}
