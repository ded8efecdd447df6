"""What each method answers."""

from __future__ import annotations

from typing import Any

from pydantic import AwareDatetime, ConfigDict, Field

from agent.rpc.schema.base import UUID, Message


class Result(Message):
    """A client ignores fields it doesn't know: later versions add some."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Changed(Result):
    """A changing method has done its work."""

    operation_id: UUID
    instance_uuid: UUID | None = None
    generation: int | None = None
    """The instance's, after the change."""
    power_state: str | None = None
    already: bool = False
    """It was so already; nothing was done."""
    attached: str | None = None
    """The id of the volume or port that was attached."""


class DiskView(Result):
    id: str
    target: str
    """As libvirt names it; a hint."""
    bus: str
    source: str | None = None
    """What is behind it on the host."""
    serial: str | None = None
    removable: bool = False
    """A volume: it can be detached."""


class InterfaceView(Result):
    port_id: str
    type: str
    mac_address: str
    source: str | None = None
    """Bridge or network."""
    tap: str | None = None
    """The device on the host, while the guest runs."""


class InstanceView(Result):
    uuid: UUID
    name: str
    power_state: str
    """`unknown` when libvirt can't be asked, or owes an answer for a second."""
    power_state_code: int
    """nova's number; -1 for unknown."""
    last_known: str | None = None
    """The last state seen, when `power_state` is unknown."""
    reason: str = ""
    """Why it is in that state, as far as the hypervisor says."""
    generation: int = 0
    """Counts the instance's changes."""
    request_id: str | None = None
    """Of the request that changed it last."""
    vcpus: int | None = None
    memory_mb: int | None = None
    """MiB."""
    disks: tuple[DiskView, ...] = ()
    interfaces: tuple[InterfaceView, ...] = ()
    metadata: dict[str, str] = Field(default_factory=dict)
    owner: dict[str, str | None] = Field(default_factory=dict)
    vnc_port: int | None = None
    """On the host's loopback address."""
    console_path: str | None = None
    """Of the serial console, on the host."""
    under_way: tuple[UUID, ...] = ()
    """Operations that hold the instance, first the one that runs."""


class GotInstance(Result):
    observed_at: AwareDatetime
    """When it was seen so: earlier than asked, when libvirt doesn't answer at once."""
    instance: InstanceView


class InstanceList(Result):
    observed_at: AwareDatetime
    """When the one seen least recently was seen so: earlier than asked, when libvirt doesn't answer at once."""
    instances: tuple[InstanceView, ...]


class HostInfo(Result):
    observed_at: AwareDatetime
    """When it was so: earlier than asked, when libvirt can't be asked or doesn't answer at once."""
    host: str
    agent_version: str
    stream: UUID
    """The event stream; another one means that the journal was lost."""
    hypervisor_type: str
    hypervisor_version: str
    virt_type: str
    arch: str
    cpu_model: str | None = None
    vcpus: int
    vcpus_used: int
    memory_mb: int
    """MiB."""
    memory_mb_used: int
    """MiB."""
    disk_mb: int
    """MiB."""
    disk_mb_free: int
    """MiB."""
    instances: int
    """How many there are, running or not."""
    capabilities: dict[str, Any] = Field(default_factory=dict)


class Pong(Result):
    host: str
    agent_version: str
    observed_at: AwareDatetime


class Diagnostics(Result):
    observed_at: AwareDatetime
    diagnostics: dict[str, Any]


class ConsoleOutput(Result):
    observed_at: AwareDatetime
    output: str
    """Bytes that aren't UTF-8 are shown as the replacement character."""


class StepView(Result):
    name: str
    mark: str
    """`begun`, `done`, `undoing`, `undone` or `stuck`."""
    at: AwareDatetime
    seconds: float | None = None
    """How long it took, once it is done or undone."""


STATUSES = ("queued", "running", "succeeded", "failed", "cancelled", "unknown", "stuck", "abandoned")
"""That an operation can have."""


class OperationView(Result):
    id: UUID
    method: str
    instance_uuid: UUID | None = None
    status: str
    """`queued`, `running`, `succeeded`, `failed`, `cancelled`, `unknown`, `stuck` or `abandoned`."""
    request_id: str | None = None
    user_id: str | None = None
    project_id: str | None = None
    accepted_at: AwareDatetime
    begun_at: AwareDatetime | None = None
    ended_at: AwareDatetime | None = None
    not_after: AwareDatetime | None = None
    """Past it the operation isn't begun."""
    progress: float | None = None
    """0.0 to 1.0 while it runs."""
    doing: str | None = None
    """What it says it is doing, while it runs."""
    steps: tuple[StepView, ...] = ()
    shares: dict[str, float] = Field(default_factory=dict)
    """Seconds: `total`, of these `libvirt`, `qemu_img`, `download`, `wait`; the rest, `own`, is the agent's.
    `journal`: what of `own` was waiting for the journal. `queued`, before that: from acceptance to its turn."""
    error: dict[str, Any] | None = None
    """As in the answer, when it failed."""


class GotOperation(Result):
    observed_at: AwareDatetime
    operation: OperationView


class OperationList(Result):
    observed_at: AwareDatetime
    operations: tuple[OperationView, ...]


class Replayed(Result):
    stream: UUID
    events: tuple[dict[str, Any], ...]
    """As they were published."""
    next_sequence: int
    """Ask from here next."""


class PlannedStep(Result):
    name: str
    undo: bool
    """Whether it has an undo."""


class Planned(Result):
    method: str
    steps: tuple[PlannedStep, ...]
    resources: dict[str, Any] = Field(default_factory=dict)
    """What it needs of the host."""
    xml: str | None = None
    """The domain, for a spawn."""
    problems: tuple[str, ...] = ()
    """What this host lacks for it now: an image or a bridge that isn't there."""


class Error(Result):
    """The body of `error` in a reply."""

    code: str
    message: str
    retryable: bool
    details: dict[str, Any] = Field(default_factory=dict)
    incident: str | None = None
