"""Reading domains: which are ours, how they are, and what they have.

Functions of `Here`, run in a QUERY worker; parsing happens there too, off the loop.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from agent.errors import Conflict, NotFound
from agent.hypervisor import metadata, readback
from agent.hypervisor.libvirt.api import CONTROL_LOST, METADATA_ELEMENT, Connection, Control, Domain, Xml
from agent.hypervisor.libvirt.connection import tolerating
from agent.hypervisor.libvirt.errors import Code
from agent.hypervisor.libvirt.lifecycle import Power, State, power_of
from agent.hypervisor.ports import DomainView
from agent.spec import PowerState


@dataclass(frozen=True, slots=True)
class Here:
    """A connection for the time of one call, and `host`, the agent that asks: whose guests are ours."""

    connection: Connection
    host: str


def find(here: Here, uuid: UUID) -> Domain | None:
    """Any domain, ours or not."""
    with tolerating(Code.NO_DOMAIN):
        return here.connection.lookupByUUID(uuid.bytes)
    return None


def known(domain: Domain) -> metadata.Metadata | None:
    """An agent's metadata, ours or not; None when it is no agent's, or gone."""
    with tolerating(Code.NO_DOMAIN, Code.NO_DOMAIN_METADATA):
        return metadata.parse(domain.metadata(METADATA_ELEMENT, metadata.NAMESPACE.uri))
    return None


def find_ours(here: Here, uuid: UUID) -> Domain | None:
    domain = find(here, uuid)
    if domain is None:
        return None
    about = known(domain)
    return domain if about is not None and about.is_of(here.host) else None


def ours(here: Here, uuid: UUID) -> Domain:
    """Raises NotFound, for a domain that isn't ours too."""
    if (domain := find_ours(here, uuid)) is None:
        raise NotFound(f"instance {uuid} isn't on this host")
    return domain


def read_power(domain: Domain) -> Power:
    state, reason = domain.state()[:2]
    saved = state == State.SHUTOFF and bool(domain.hasManagedSaveImage())
    return power_of(state, reason, saved=saved)


def need(domain: Domain, *states: PowerState) -> Power:
    """Raises Conflict unless it is in one of them."""
    power = read_power(domain)
    if power.state not in states:
        raise Conflict(
            f"instance {domain.UUIDString()} is {power.state}", details={"power_state": power.state.value}
        )
    return power


def power(here: Here, uuid: UUID) -> Power:
    """Raises NotFound."""
    return read_power(ours(here, uuid))


def at_work(here: Here, uuid: UUID) -> bool:
    """Whether libvirt is at something on it, or waits for its QEMU; that isn't asked. Raises NotFound."""
    with tolerating(Code.NO_DOMAIN, Code.OPERATION_INVALID):  # it doesn't run
        control, details, _ = ours(here, uuid).controlInfo()
        return control != Control.OK and (control, details) != (Control.ERROR, CONTROL_LOST)
    return False


def get(here: Here, uuid: UUID) -> DomainView:
    """Raises NotFound."""
    if (domain := find(here, uuid)) is not None and (seen := view(domain, here.host)) is not None:
        return seen.model_copy(update={"returning": _returning(domain, seen)})
    raise NotFound(f"instance {uuid} isn't on this host")


def _returning(domain: Domain, seen: DomainView) -> frozenset[str]:
    with tolerating(Code.NO_DOMAIN):
        if domain.isPersistent() and seen.power_state in (PowerState.RUNNING, PowerState.PAUSED):
            has = {disk.id for disk in seen.disks} | {nic.port_id for nic in seen.interfaces}
            return readback.device_ids(domain.XMLDesc(Xml.INACTIVE)) - has
    return frozenset()


def all_of_ours(here: Here) -> tuple[DomainView, ...]:
    domains = here.connection.listAllDomains(0)
    return tuple(seen for domain in domains if (seen := view(domain, here.host)) is not None)


def view(domain: Domain, host: str) -> DomainView | None:
    """None when it isn't `host`'s, or is gone by now."""
    with tolerating(Code.NO_DOMAIN):
        text = domain.XMLDesc(Xml.LIVE)
        power = read_power(domain)
        about = metadata.parse(text)
        return _view(domain, about, text, power) if about is not None and about.is_of(host) else None
    return None


def _view(domain: Domain, about: metadata.Metadata, text: str, power: Power) -> DomainView:
    return DomainView(
        uuid=UUID(domain.UUIDString()),
        name=domain.name(),
        power_state=power.state,
        reason=power.reason,
        generation=about.generation,
        request_id=about.request_id,
        spec=about.spec(),
        disks=readback.disks(text),
        interfaces=readback.interfaces(text),
        volumes=about.connections(),
        vnc_port=readback.vnc_port(text),
        console_path=readback.console_path(text),
    )
