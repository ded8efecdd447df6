"""Changing domains: one function for each thing that libvirt does in one go.

Functions of `Here` and a uuid, run in a worker. All may be repeated: they look first, and take for done
what is done. A domain that isn't ours is as good as absent.
"""

from __future__ import annotations

import time
from functools import partial
from uuid import UUID

from agent.errors import AgentError, Busy, Conflict, OperationFailed
from agent.hypervisor import metadata
from agent.hypervisor.libvirt import console
from agent.hypervisor.libvirt.api import (
    METADATA_ELEMENT,
    Affect,
    Define,
    Domain,
    PowerButton,
    Undefine,
)
from agent.hypervisor.libvirt.connection import tolerating
from agent.hypervisor.libvirt.errors import Code
from agent.hypervisor.libvirt.lifecycle import ASLEEP, STARTING
from agent.hypervisor.libvirt.views import Here, find, find_ours, known, need, ours, read_power
from agent.hypervisor.owners import somebody_elses
from agent.spec import PowerState, VolumeConnection

RUNNING, PAUSED, SUSPENDED = PowerState.RUNNING, PowerState.PAUSED, PowerState.SUSPENDED
OFF = (PowerState.SHUTDOWN, PowerState.CRASHED, PowerState.NOSTATE)

# From all that a domain of ours may leave behind to what every libvirt knows.
UNDEFINE_FLAGS = (
    Undefine.MANAGED_SAVE
    | Undefine.SNAPSHOTS_METADATA
    | Undefine.CHECKPOINTS_METADATA
    | Undefine.NVRAM
    | Undefine.TPM,
    Undefine.MANAGED_SAVE | Undefine.SNAPSHOTS_METADATA | Undefine.NVRAM,
    Undefine.MANAGED_SAVE,
)


def define(here: Here, uuid: UUID, name: str, xml: str) -> None:
    """Raises Conflict when a domain that isn't ours has the uuid, or any other has the name."""
    had = find(here, uuid)
    if had is not None and not ((about := known(had)) and about.is_of(here.host)):
        raise somebody_elses(uuid, about.host if about else None)
    with tolerating(Code.NO_DOMAIN):
        other = here.connection.lookupByName(name).UUIDString()
        if other != str(uuid):
            raise Conflict(f"a domain {other} with the name {name!r} is there already")
    here.connection.defineXMLFlags(xml, Define.VALIDATE)


def undefine(here: Here, uuid: UUID) -> None:
    domain = find_ours(here, uuid)
    if domain is None or not domain.isPersistent():
        return
    with tolerating(Code.NO_DOMAIN):
        for flags in UNDEFINE_FLAGS:
            with tolerating(Code.INVALID_ARG, Code.ARGUMENT_UNSUPPORTED):
                domain.undefineFlags(flags)
                return
        domain.undefine()


def start(here: Here, uuid: UUID) -> None:
    """Running when it returns. Raises Conflict when it is paused."""
    domain = ours(here, uuid)
    before = need(domain, RUNNING, SUSPENDED, *OFF)
    if before.state is RUNNING:
        return
    if before.reason == ASLEEP:
        domain.pMWakeup(0)
        return
    if (log := console.log_path(domain)) is not None:
        console.prepare(log)
    with tolerating(Code.OPERATION_INVALID):  # somebody else was faster, or `need` below raises
        domain.createWithFlags(0)
    if before.state is SUSPENDED:
        _renew_metadata(domain)
        if read_power(domain).state is PAUSED:  # as it was when it was saved
            domain.resume()
    need(domain, RUNNING)


def _renew_metadata(domain: Domain) -> None:
    """What was saved has the metadata of then; it may have been stamped since."""
    uri, key = metadata.NAMESPACE.uri, metadata.NAMESPACE.prefix
    stored = domain.metadata(METADATA_ELEMENT, uri, Affect.CONFIG)
    domain.setMetadata(METADATA_ELEMENT, stored, key, uri, Affect.LIVE)


def power_off(here: Here, uuid: UUID) -> None:
    domain = find_ours(here, uuid)
    if domain is not None:
        with tolerating(Code.NO_DOMAIN, Code.OPERATION_INVALID):  # it isn't running
            with tolerating(Code.OPERATION_TIMEOUT):
                domain.destroy()
                return
            raise _held(domain)


def break_off(here: Here, uuid: UUID, before: float) -> None:
    """What hangs in its QEMU returns when that is gone. Nothing is done after `before`, by the monotonic clock: a
    libvirt that answers so late is the one that hung."""
    domain = find_ours(here, uuid)
    if domain is not None and time.monotonic() < before:
        with tolerating(Code.NO_DOMAIN, Code.OPERATION_INVALID, Code.OPERATION_TIMEOUT):
            domain.destroy()


def _held(domain: Domain) -> AgentError:
    """Why libvirt waited half a minute for its turn on this domain, and didn't get it. Nothing was done."""
    uuid = domain.UUIDString()
    if read_power(domain).reason != STARTING:
        return Busy(f"power off instance {uuid}: libvirt is at work on it and gives no turn")
    return OperationFailed(
        f"power off instance {uuid}: libvirt holds a start of it that has no QEMU and doesn't go on. Either what"
        " the start needs doesn't answer, or libvirtd was killed at the start's very beginning and keeps it for"
        f" ever: then stop libvirtd, remove /run/libvirt/qemu/{domain.name()}.xml, and start libvirtd again"
    )


def shutdown(here: Here, uuid: UUID) -> None:
    domain = ours(here, uuid)
    with tolerating(Code.OPERATION_INVALID):  # it isn't running
        domain.shutdownFlags(PowerButton.ACPI)


def reboot(here: Here, uuid: UUID) -> None:
    domain = ours(here, uuid)
    need(domain, RUNNING)
    domain.reboot(PowerButton.ACPI)


def reset(here: Here, uuid: UUID) -> None:
    domain = ours(here, uuid)
    need(domain, RUNNING)
    domain.reset(0)


def pause(here: Here, uuid: UUID) -> None:
    domain = ours(here, uuid)
    if need(domain, RUNNING, PAUSED).state is RUNNING:
        domain.suspend()


def unpause(here: Here, uuid: UUID) -> None:
    domain = ours(here, uuid)
    if need(domain, RUNNING, PAUSED).state is PAUSED:
        domain.resume()


def suspend(here: Here, uuid: UUID) -> None:
    domain = ours(here, uuid)
    if need(domain, RUNNING, PAUSED, SUSPENDED).state is not SUSPENDED:
        domain.managedSave(0)


def stamp(here: Here, uuid: UUID, generation: int, request_id: str | None) -> None:
    domain = find_ours(here, uuid)
    if domain is not None:
        change = partial(metadata.restamp, host=here.host, generation=generation, request_id=request_id)
        _rewrite(domain, change)


def note_volume(here: Here, uuid: UUID, volume: VolumeConnection) -> None:
    _rewrite(ours(here, uuid), partial(metadata.with_volume, connection=volume))


def forget_volume(here: Here, uuid: UUID, volume_id: str) -> None:
    domain = find_ours(here, uuid)
    if domain is not None:
        _rewrite(domain, partial(metadata.without_volume, volume_id=volume_id))


def _rewrite(domain: Domain, change: metadata.Change) -> None:
    """The metadata of the stored definition and, while it runs, the live one's."""
    uri, key = metadata.NAMESPACE.uri, metadata.NAMESPACE.prefix
    if domain.isPersistent():
        text = domain.metadata(METADATA_ELEMENT, uri, Affect.CONFIG)
        domain.setMetadata(METADATA_ELEMENT, change(text), key, uri, Affect.CONFIG)
    with tolerating(Code.OPERATION_INVALID):  # it doesn't run
        text = domain.metadata(METADATA_ELEMENT, uri, Affect.LIVE)
        domain.setMetadata(METADATA_ELEMENT, change(text), key, uri, Affect.LIVE)
