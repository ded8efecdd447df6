"""Reading domains: which are ours, how they are, and what they have.

Functions of a connection, run in a QUERY worker; parsing happens there too, off the loop.
"""

from __future__ import annotations

from uuid import UUID

from agent.errors import Conflict, NotFound
from agent.hypervisor import metadata, readback
from agent.hypervisor.libvirt.api import METADATA_ELEMENT, Connection, Domain, Xml
from agent.hypervisor.libvirt.connection import tolerating
from agent.hypervisor.libvirt.errors import Code
from agent.hypervisor.libvirt.lifecycle import Power, State, power_of
from agent.hypervisor.ports import DomainView
from agent.spec import PowerState


def find(connection: Connection, uuid: UUID) -> Domain | None:
    """Any domain, ours or not."""
    with tolerating(Code.NO_DOMAIN):
        return connection.lookupByUUID(uuid.bytes)
    return None


def is_ours(domain: Domain) -> bool:
    """Whether it carries our metadata; False for one that is gone."""
    with tolerating(Code.NO_DOMAIN, Code.NO_DOMAIN_METADATA):
        return bool(domain.metadata(METADATA_ELEMENT, metadata.NAMESPACE.uri))
    return False


def find_ours(connection: Connection, uuid: UUID) -> Domain | None:
    domain = find(connection, uuid)
    return domain if domain is not None and is_ours(domain) else None


def ours(connection: Connection, uuid: UUID) -> Domain:
    """Raises NotFound, for a domain that isn't ours too."""
    if (domain := find_ours(connection, uuid)) is None:
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


def power(connection: Connection, uuid: UUID) -> Power:
    """Raises NotFound."""
    return read_power(ours(connection, uuid))


def get(connection: Connection, uuid: UUID) -> DomainView:
    """Raises NotFound."""
    if (domain := find(connection, uuid)) is not None and (seen := view(domain)) is not None:
        return seen.model_copy(update={"returning": _returning(domain, seen)})
    raise NotFound(f"instance {uuid} isn't on this host")


def _returning(domain: Domain, seen: DomainView) -> frozenset[str]:
    with tolerating(Code.NO_DOMAIN):
        if domain.isPersistent() and seen.power_state in (PowerState.RUNNING, PowerState.PAUSED):
            has = {disk.id for disk in seen.disks} | {nic.port_id for nic in seen.interfaces}
            return readback.device_ids(domain.XMLDesc(Xml.INACTIVE)) - has
    return frozenset()


def all_of_ours(connection: Connection) -> tuple[DomainView, ...]:
    return tuple(seen for domain in connection.listAllDomains(0) if (seen := view(domain)) is not None)


def view(domain: Domain) -> DomainView | None:
    """None when it isn't ours, or is gone by now."""
    with tolerating(Code.NO_DOMAIN):
        text = domain.XMLDesc(Xml.LIVE)
        power = read_power(domain)
        return _view(UUID(domain.UUIDString()), domain.name(), text, power)
    return None


def _view(uuid: UUID, name: str, text: str, power: Power) -> DomainView | None:
    known = metadata.parse(text)
    if known is None:
        return None
    return DomainView(
        uuid=uuid,
        name=name,
        power_state=power.state,
        reason=power.reason,
        generation=known.generation,
        request_id=known.request_id,
        spec=known.spec(),
        disks=readback.disks(text),
        interfaces=readback.interfaces(text),
        vnc_port=readback.vnc_port(text),
        console_path=readback.console_path(text),
    )
