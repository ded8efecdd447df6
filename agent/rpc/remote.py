"""The methods of the contract as a client calls them, each with the types of its arguments and its result.

changed = await client.spawn("host1", Spawn(instance=...), timeout=600)
identity = await client.destroy.cast("host1", Destroy(instance_uuid=...))
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, Self, TypeVar, cast, overload

from agent.rpc.schema import METHODS, Method, params, results
from agent.rpc.schema.base import Message

P = TypeVar("P", bound=Message)
R = TypeVar("R", bound=results.Result)
P_contra = TypeVar("P_contra", bound=Message, contravariant=True)


class Caller(Protocol):
    """What a client does with a method and its arguments."""

    async def call(
        self,
        method: Method,
        host: str | None,
        args: Message | Mapping[str, Any],
        *,
        timeout: float,
        message_id: str | None = None,
        context: Mapping[str, str] | None = None,
    ) -> results.Result: ...

    async def cast(
        self,
        method: Method,
        host: str | None,
        args: Message | Mapping[str, Any],
        *,
        message_id: str | None = None,
        context: Mapping[str, str] | None = None,
    ) -> str: ...


@dataclass(frozen=True, slots=True)
class Bound(Generic[P, R]):
    """One method of one client."""

    caller: Caller
    method: Method

    async def __call__(
        self,
        host: str,
        args: P,
        *,
        timeout: float = 60.0,
        message_id: str | None = None,
        context: Mapping[str, str] | None = None,
    ) -> R:
        """Call and wait `timeout` seconds for the answer; see `ComputeClient.call`."""
        answer = await self.caller.call(
            self.method, host, args, timeout=timeout, message_id=message_id, context=context
        )
        return cast("R", answer)

    async def cast(
        self, host: str, args: P, *, message_id: str | None = None, context: Mapping[str, str] | None = None
    ) -> str:
        """Send and don't wait; see `ComputeClient.cast`."""
        return await self.caller.cast(self.method, host, args, message_id=message_id, context=context)


class Remote(Generic[P, R]):
    """Stands in the class for a method; in an instance it is that client's `Bound`."""

    def __init__(self, name: str, params: type[P], result: type[R]) -> None:
        self.method = METHODS[name]
        self.params = params
        self.result = result

    @overload
    def __get__(self, client: None, owner: type) -> Self: ...

    @overload
    def __get__(self, client: Caller, owner: type) -> Bound[P, R]: ...

    def __get__(self, client: Caller | None, owner: type) -> Self | Bound[P, R]:
        return self if client is None else Bound(client, self.method)


class Methods:
    """All methods; a test holds this list to the contract's."""

    spawn = Remote("spawn", params.Spawn, results.Changed)
    destroy = Remote("destroy", params.Destroy, results.Changed)
    attach_volume = Remote("attach_volume", params.AttachVolume, results.Changed)
    detach_volume = Remote("detach_volume", params.DetachVolume, results.Changed)
    attach_interface = Remote("attach_interface", params.AttachInterface, results.Changed)
    detach_interface = Remote("detach_interface", params.DetachInterface, results.Changed)
    start = Remote("start", params.Start, results.Changed)
    stop = Remote("stop", params.Stop, results.Changed)
    reboot = Remote("reboot", params.Reboot, results.Changed)
    pause = Remote("pause", params.Pause, results.Changed)
    unpause = Remote("unpause", params.Unpause, results.Changed)
    suspend = Remote("suspend", params.Suspend, results.Changed)
    resume = Remote("resume", params.Resume, results.Changed)
    retry_operation = Remote("retry_operation", params.RetryOperation, results.Changed)
    abandon_operation = Remote("abandon_operation", params.AbandonOperation, results.Changed)
    cancel_operation = Remote("cancel_operation", params.CancelOperation, results.Changed)
    get_instance = Remote("get_instance", params.GetInstance, results.GotInstance)
    list_instances = Remote("list_instances", params.ListInstances, results.InstanceList)
    get_host = Remote("get_host", params.GetHost, results.HostInfo)
    ping = Remote("ping", params.Ping, results.Pong)
    get_diagnostics = Remote("get_diagnostics", params.GetDiagnostics, results.Diagnostics)
    get_console_output = Remote("get_console_output", params.GetConsoleOutput, results.ConsoleOutput)
    list_operations = Remote("list_operations", params.ListOperations, results.OperationList)
    get_operation = Remote("get_operation", params.GetOperation, results.GotOperation)
    replay_events = Remote("replay_events", params.ReplayEvents, results.Replayed)
    plan = Remote("plan", params.Plan, results.Planned)
