"""The life of a fake guest, as pure functions from one `Domain` to the next.

`world` keeps domains as files and asks `settled` what became of one since it was last looked at; `domains`
(the agent's acts) and `control` (everybody else's) apply one function each. Nobody runs while nobody
looks: what a guest is about to do stands in `due` with its time, and the next look does it. So a guest
lives on while its agent is dead, and no process is needed for it.

              start                      suspend
    shutdown ------> running <------> paused       running | paused --suspend--> suspended
    crashed             |     resume     |                suspended --start----> running
       ^                |                |
       +-- stopped -----+----------------+

While a guest is paused or suspended its clock stands still: the times in `due` are then seconds left,
not points in time.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal, TypeVar
from uuid import UUID

from agent.spec import AnyInterface, Frozen, InstanceSpec, PluggedDisk, PowerState, VolumeConnection

ACTIVE = frozenset({PowerState.RUNNING, PowerState.PAUSED})
Device = PluggedDisk | AnyInterface
Key = tuple[Literal["disks", "interfaces"], str]

KEPT_CONSOLE = 64 * 1024


class Change(Frozen):
    """One power change, not yet told to the world's log."""

    at: datetime
    state: PowerState
    reason: str


class Due(Frozen):
    """What the guest will do: come up, power itself off, or reset."""

    act: Literal["ready", "off", "reset"]
    at: float


class Live(Frozen):
    """What the guest's process has: may differ from the stored definition."""

    disks: tuple[PluggedDisk, ...]
    interfaces: tuple[AnyInterface, ...]
    began: float
    vnc_port: int | None = None
    born_with: int = 0  # devices: they take no hot-plug port
    booted: bool = False
    leaving: frozenset[Key] = frozenset()  # asked for while paused: let go when it continues


class Domain(Frozen):
    """One file of the world. Secrets are written masked. One without `spec` is no agent's; `host` says whose."""

    uuid: UUID
    name: str
    spec: InstanceSpec | None = None
    host: str | None = None
    generation: int = 0
    request_id: str | None = None
    operation_id: str | None = None
    disks: tuple[PluggedDisk, ...] = ()
    interfaces: tuple[AnyInterface, ...] = ()
    volumes: tuple[VolumeConnection, ...] = ()
    state: PowerState = PowerState.SHUTDOWN
    reason: str = "unknown"
    live: Live | None = None  # kept while suspended: it is the saved memory
    due: tuple[Due, ...] = ()
    changes: tuple[Change, ...] = ()
    resets: int = 0
    console: str = ""
    persistent: bool = True
    stubborn: bool = False  # lets no device go
    deaf: bool = False  # ignores the power button

    @property
    def active(self) -> bool:
        return self.state in ACTIVE

    @property
    def boots(self) -> bool:
        """Whether a system is on its disks: an image, or a volume that is said to be bootable."""
        images = {d.id for d in self.spec.disks if d.kind == "image"} if self.spec else set()
        return any(d.id in images or (d.removable and d.boot_index is not None) for d in self.disks)

    @property
    def answers(self) -> bool:
        """Whether somebody inside is up: nothing else heeds buttons and lets devices go."""
        return self.live is not None and self.live.booted


class Pace(Frozen):
    """How long a guest takes, in seconds."""

    boot_seconds: float = 0.2
    shutdown_seconds: float = 0.05


def _changed(domain: Domain, now: float, state: PowerState, reason: str) -> Domain:
    change = Change(at=datetime.fromtimestamp(now, UTC), state=state, reason=reason)
    update = {"state": state, "reason": reason, "changes": (*domain.changes, change)}
    return domain.model_copy(update=update)


def _said(domain: Domain, line: str) -> Domain:
    console = (domain.console + line + "\n")[-KEPT_CONSOLE:]
    return domain.model_copy(update={"console": console})


def _boot(domain: Domain, now: float, pace: Pace) -> tuple[Due, ...]:
    return (Due(act="ready", at=now + pace.boot_seconds),) if domain.boots else ()


def started(domain: Domain, now: float, pace: Pace, vnc_port: int | None) -> Domain:
    """Running from its stored definition; a suspended one goes on where it stopped."""
    if domain.state is PowerState.SUSPENDED:
        return resumed(domain, now, "restored")
    live = Live(
        disks=domain.disks,
        interfaces=domain.interfaces,
        began=now,
        vnc_port=vnc_port,
        born_with=len(domain.disks) + len(domain.interfaces),
    )
    due = _boot(domain, now, pace)
    return _changed(domain.model_copy(update={"live": live, "due": due}), now, PowerState.RUNNING, "booted")


def stopped(domain: Domain, now: float, state: PowerState, reason: str) -> Domain:
    """The process is gone: by itself, pulled, or dead."""
    return _changed(domain.model_copy(update={"live": None, "due": ()}), now, state, reason)


def paused(domain: Domain, now: float) -> Domain:
    left = tuple(d.model_copy(update={"at": max(0.0, d.at - now)}) for d in domain.due)
    return _changed(domain.model_copy(update={"due": left}), now, PowerState.PAUSED, "user")


def resumed(domain: Domain, now: float, reason: str = "unpaused") -> Domain:
    """Its clock goes on; a device asked back meanwhile goes now."""
    due = tuple(d.model_copy(update={"at": now + d.at}) for d in domain.due)
    live = domain.live
    if live is not None and live.leaving and not domain.stubborn:
        live = without(live, live.leaving).model_copy(update={"leaving": frozenset()})
    return _changed(domain.model_copy(update={"due": due, "live": live}), now, PowerState.RUNNING, reason)


def saved(domain: Domain, now: float) -> Domain:
    """Memory to disk; `live` stays as what was saved."""
    still = domain if domain.state is PowerState.PAUSED else paused(domain, now)
    # A running guest that is saved doesn't say that it was paused on the way.
    kept = still.model_copy(update={"changes": domain.changes})
    return _changed(kept, now, PowerState.SUSPENDED, "saved")


def button_pressed(domain: Domain, now: float, pace: Pace, act: Literal["off", "reset"]) -> Domain:
    """ACPI: who is up and listens will do it, once."""
    if domain.deaf or not domain.answers or any(d.act != "ready" for d in domain.due):
        return domain
    at = pace.shutdown_seconds if domain.state is PowerState.PAUSED else now + pace.shutdown_seconds
    heard = _said(domain, "ACPI-POWER-BUTTON")
    return heard.model_copy(update={"due": (*domain.due, Due(act=act, at=at))})


def was_reset(domain: Domain, now: float, pace: Pace) -> Domain:
    """Boots again in the same process."""
    if domain.live is None:
        return domain
    base = 0.0 if domain.state is PowerState.PAUSED else now
    live = domain.live.model_copy(update={"booted": False, "leaving": frozenset()})
    update = {"live": live, "resets": domain.resets + 1, "due": _boot(domain, base, pace)}
    return domain.model_copy(update=update)


def key_of(device: Device) -> Key:
    """By which a device is known."""
    return ("disks", device.id) if isinstance(device, PluggedDisk) else ("interfaces", device.port_id)


def found(having: Domain | Live | None, key: Key) -> Device | None:
    """The device in a stored definition or a live guest."""
    devices: tuple[Device, ...] = (*having.disks, *having.interfaces) if having else ()
    return next((d for d in devices if key_of(d) == key), None)


H = TypeVar("H", Domain, Live)


def with_device(having: H, device: Device) -> H:
    """`having` and the device, unless it is there."""
    if found(having, key_of(device)) is not None:
        return having
    if isinstance(device, PluggedDisk):
        return having.model_copy(update={"disks": (*having.disks, device)})
    return having.model_copy(update={"interfaces": (*having.interfaces, device)})


def without(having: H, keys: frozenset[Key]) -> H:
    """`having` and none of the devices."""
    disks = tuple(d for d in having.disks if key_of(d) not in keys)
    interfaces = tuple(i for i in having.interfaces if key_of(i) not in keys)
    return having.model_copy(update={"disks": disks, "interfaces": interfaces})


def asked_back(domain: Domain, key: Key) -> Domain:
    """The device is asked of the guest. It goes at once, later, or the asking is lost: as in life."""
    live = domain.live
    if live is None or domain.stubborn or not live.booted:
        return domain
    if domain.state is PowerState.RUNNING:
        return domain.model_copy(update={"live": without(live, frozenset({key}))})
    leaving = live.leaving | {key}
    return domain.model_copy(update={"live": live.model_copy(update={"leaving": leaving})})


def settled(domain: Domain, now: float, pace: Pace) -> Domain:
    """What has become of it by now: everything due is done, in order."""
    # Further away than a guest ever looks ahead: the host's clock was set back meanwhile.
    furthest = now + max(pace.boot_seconds, pace.shutdown_seconds)
    while domain.state is PowerState.RUNNING and domain.due:
        first = min(domain.due, key=lambda d: d.at)
        if now < first.at <= furthest:
            break
        domain = _done(domain, first, pace)
    return domain


def _done(domain: Domain, due: Due, pace: Pace) -> Domain:
    if due.act == "off":
        return stopped(_said(domain, "GUEST-SHUTDOWN"), due.at, PowerState.SHUTDOWN, "shutdown")
    if due.act == "reset":
        return was_reset(_said(domain, "GUEST-SHUTDOWN"), due.at, pace)
    if domain.live is None:
        return domain.model_copy(update={"due": ()})
    live = domain.live.model_copy(update={"booted": True})
    left = tuple(d for d in domain.due if d is not due)
    up = domain.model_copy(update={"live": live, "due": left})
    return _said(up, f"GUEST-READY host={domain.name} disks={len(live.disks)} nics={len(live.interfaces)}")
