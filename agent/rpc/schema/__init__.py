"""The published contract, version 1.0: every method with its arguments and its result.

Pydantic models only: a scheduler can import this without the daemon's packages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from agent.rpc.schema import params, results
from agent.rpc.schema.base import Message

VERSION = "1.0"


@dataclass(frozen=True, slots=True)
class Method:
    """One method of the contract. `change`: journaled, in order, answered when done. `read`: answered at once."""

    name: str
    kind: Literal["change", "read"]
    params: type[Message]
    result: type[results.Result]
    on_query_queue: bool = False
    """Taken on the queue of queries too: those that must be answered also while commands are paused."""


def _change(name: str, model: type[Message], *, on_query_queue: bool = False) -> Method:
    return Method(name, "change", model, results.Changed, on_query_queue)


def _read(name: str, model: type[Message], result: type[results.Result]) -> Method:
    return Method(name, "read", model, result, on_query_queue=True)


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        _change("spawn", params.Spawn),
        _change("destroy", params.Destroy),
        _change("attach_volume", params.AttachVolume),
        _change("detach_volume", params.DetachVolume),
        _change("attach_interface", params.AttachInterface),
        _change("detach_interface", params.DetachInterface),
        _change("start", params.Start),
        _change("stop", params.Stop),
        _change("reboot", params.Reboot),
        _change("pause", params.Pause),
        _change("unpause", params.Unpause),
        _change("suspend", params.Suspend),
        _change("resume", params.Resume),
        _change("retry_operation", params.RetryOperation),
        _change("abandon_operation", params.AbandonOperation),
        _change("cancel_operation", params.CancelOperation, on_query_queue=True),
        _read("get_instance", params.GetInstance, results.GotInstance),
        _read("list_instances", params.ListInstances, results.InstanceList),
        _read("get_host", params.GetHost, results.HostInfo),
        _read("ping", params.Ping, results.Pong),
        _read("get_diagnostics", params.GetDiagnostics, results.Diagnostics),
        _read("get_console_output", params.GetConsoleOutput, results.ConsoleOutput),
        _read("list_operations", params.ListOperations, results.OperationList),
        _read("get_operation", params.GetOperation, results.GotOperation),
        _read("replay_events", params.ReplayEvents, results.Replayed),
        _read("plan", params.Plan, results.Planned),
    )
}
