"""The port `Remains` on libvirt: what the agent of a host has made there, and what domains use."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from agent.hypervisor import xml
from agent.hypervisor.libvirt import changes, views
from agent.hypervisor.libvirt.api import Connection, Domain, Secret, Xml
from agent.hypervisor.libvirt.connection import Lane, Libvirt, tolerating
from agent.hypervisor.libvirt.errors import Code
from agent.hypervisor.libvirt.views import Here
from agent.hypervisor.network.taps import remove_tap, tagged_taps
from agent.hypervisor.owners import tagged
from agent.hypervisor.remains import Inventory, Kind, Still, Thing
from agent.hypervisor.storage import remains as directories
from agent.hypervisor.storage.blocking import in_thread, look
from agent.hypervisor.storage.faults import faults_as_errors

T = TypeVar("T")


class LibvirtRemains:
    def __init__(self, libvirt: Libvirt, host: str, instances_dir: Path) -> None:
        self._libvirt = libvirt
        self._host = host
        self._instances_dir = instances_dir

    async def inventory(self) -> Inventory:
        with faults_as_errors(f"looking at {self._instances_dir}"):
            files = await look(lambda: tuple(directories.find(self._instances_dir)), "looking for directories")
            taps = await look(lambda: tuple(tagged_taps(self._host)), "looking for taps")
        of_libvirt = await self._ask(_inventory, "looking for domains and secrets")
        named = (Thing(kind=Kind.TAP, id=name, instance=uuid) for name, uuid in taps)
        return of_libvirt.model_copy(update={"things": (*of_libvirt.things, *files, *named)})

    async def remove(self, thing: Thing, still: Still) -> bool:
        match thing.kind:
            case Kind.DIRECTORY | Kind.FILE:
                return await directories.remove(thing, still)
            case _ if not await still():
                return False
            case Kind.TAP:
                with faults_as_errors(f"removing {thing.name}"):
                    await in_thread(remove_tap, thing.id)
            case Kind.DOMAIN:
                await self._ask(lambda here: _remove_domain(here, thing.instance), f"removing {thing.name}")
            case Kind.SECRET:
                await self._ask(lambda here: _remove_secret(here, thing.id), f"removing {thing.name}")
        return True

    async def close(self) -> None:
        await self._libvirt.close()

    async def _ask(self, fn: Callable[[Here], T], what: str) -> T:
        def ask(connection: Connection) -> T:
            return fn(Here(connection, self._host))

        return await self._libvirt.call(Lane.QUERY, ask, what=what)


def _inventory(here: Here) -> Inventory:
    guests = [domain.uuid for domain in views.all_of_ours(here)]
    texts = [text for domain in here.connection.listAllDomains(0) for text in _texts(domain)]
    nodes = [node for text in texts for node in xml.parse(text).iter()]
    secrets = (
        Thing(kind=Kind.SECRET, id=secret.UUIDString(), instance=uuid) for secret, uuid in _secrets_of_ours(here)
    )
    domains = (Thing(kind=Kind.DOMAIN, id=str(uuid), instance=uuid) for uuid in guests)
    return Inventory(
        things=(*domains, *secrets),
        guests=frozenset(guests),
        paths=frozenset(_paths(nodes)),
        taps=frozenset(node.get("dev", "") for node in nodes if node.tag == "target"),
    )


def _texts(domain: Domain) -> Iterator[str]:
    """What it has, and what it would start with."""
    with tolerating(Code.NO_DOMAIN):
        yield domain.XMLDesc(Xml.LIVE)
        yield domain.XMLDesc(Xml.INACTIVE)


def _paths(nodes: Iterable[xml.Node]) -> Iterator[Path]:
    """All that may be a path, as it stands and with its links followed: one too many is harmless here."""
    for node in nodes:
        for text in (*node.attrib.values(), node.text or ""):
            if text.startswith("/"):
                yield Path(text)
                yield Path(text).resolve()


def _secrets_of_ours(here: Here) -> Iterator[tuple[Secret, UUID]]:
    for secret in here.connection.listAllSecrets(0):
        with tolerating(Code.NO_SECRET):
            if (uuid := tagged(secret.usageID() or "", here.host)) is not None:
                yield secret, uuid


def _remove_domain(here: Here, uuid: UUID) -> None:
    changes.power_off(here, uuid)
    changes.undefine(here, uuid)


def _remove_secret(here: Here, wanted: str) -> None:
    for secret, _ in _secrets_of_ours(here):
        if secret.UUIDString() == wanted:
            with tolerating(Code.NO_SECRET):
                secret.undefine()
