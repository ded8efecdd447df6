"""What the agent writes about an instance into its domain, so that libvirt remembers it for us.

Whose a domain with this element is, `owners` says from the host it names. A live migration takes the element
along as it is: who migrates has to write the new host into it, on the side that the guest has come to and before
the old side forgets it.

It survives the loss of the journal: the generation, who owns the instance, which request made it, its spec and
the volumes connected for it, both with secrets masked. `domain` writes it; the driver reads it with `parse`, and
alters it with `restamp`, `with_volume` and `without_volume`.

Inside the domain the element stands under <metadata> in our namespace. libvirt's setMetadata and
getMetadata want and give it without: it names the namespace by their `uri` and `key` arguments, which are
`NAMESPACE.uri` and `NAMESPACE.prefix` (https://libvirt.org/html/libvirt-libvirt-domain.html,
virDomainSetMetadata).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, ClassVar

from pydantic import ValidationError

from agent.hypervisor import xml
from agent.hypervisor.owners import is_ours
from agent.hypervisor.ports import Guest
from agent.hypervisor.xml import At, Element, Namespace
from agent.spec import InstanceSpec, VolumeConnection, VolumeDisk

NAMESPACE = Namespace("agent", "urn:compute-agent:instance:1")


class FixedDisk(Element):
    """A disk the agent made, which lives and dies with the instance. All others may be detached."""

    tag: ClassVar[str] = "disk"
    namespace: ClassVar[Namespace | None] = NAMESPACE

    id: Annotated[str, At("@id")]


class ConnectedVolume(Element):
    """A volume that was connected to the host for the instance and not yet disconnected: `connection_json` is its
    VolumeConnection, secrets as stars. What it takes to disconnect it outlives the operation that connected it."""

    tag: ClassVar[str] = "volume"
    namespace: ClassVar[Namespace | None] = NAMESPACE

    id: Annotated[str, At("@id")]
    connection_json: Annotated[str, At(".")]


class Metadata(Element):
    """`spec_json` is an InstanceSpec as JSON, secrets as stars; `spec()` reads it."""

    tag: ClassVar[str] = "instance"
    namespace: ClassVar[Namespace | None] = NAMESPACE

    version: Annotated[str | None, At("@version")] = None
    host: Annotated[str | None, At("host")] = None
    generation: Annotated[int, At("generation")] = 0
    request_id: Annotated[str | None, At("request_id")] = None
    operation_id: Annotated[str | None, At("operation_id")] = None
    project_id: Annotated[str | None, At("owner/@project")] = None
    user_id: Annotated[str | None, At("owner/@user")] = None
    fixed_disks: Annotated[tuple[FixedDisk, ...], At("disks")] = ()
    volumes: Annotated[tuple[ConnectedVolume, ...], At("volumes")] = ()
    spec_json: Annotated[str | None, At("spec")] = None

    def spec(self) -> InstanceSpec | None:
        """None when it was written by an agent whose specs this one can't read."""
        try:
            return InstanceSpec.model_validate_json(self.spec_json or "")
        except ValidationError:
            return None

    def is_of(self, host: str) -> bool:
        """Whether the agent of that host answers for the domain."""
        return is_ours(self.host, host)

    def connections(self) -> tuple[VolumeConnection, ...]:
        """Without those that were written by an agent whose connections this one can't read."""
        found = []
        for volume in self.volumes:
            with suppress(ValidationError):
                found.append(VolumeConnection.model_validate_json(volume.connection_json))
        return tuple(found)

    def bare(self) -> str:
        """The element as setMetadata wants it: without its namespace."""
        return xml.render(xml.renamed(self.to_node(), None))


def describe(guest: Guest, host: str, version: str | None) -> Metadata:
    """What to write about `guest`; `host` and `version` are this agent's."""
    spec = guest.spec
    return Metadata(
        version=version,
        host=host,
        generation=guest.generation,
        request_id=_writable(guest.request_id),
        operation_id=_writable(guest.operation_id),
        project_id=spec.owner.project_id,
        user_id=spec.owner.user_id,
        fixed_disks=tuple(FixedDisk(id=disk.id) for disk in guest.disks if not disk.removable),
        volumes=tuple(_connected(disk.connection) for disk in spec.disks if isinstance(disk, VolumeDisk)),
        # ASCII, because a JSON string may hold characters that XML can't.
        spec_json=spec.model_dump_json(ensure_ascii=True),
    )


def _connected(connection: VolumeConnection) -> ConnectedVolume:
    return ConnectedVolume(id=connection.volume_id, connection_json=connection.model_dump_json(ensure_ascii=True))


def parse(text: str) -> Metadata | None:
    """From a domain's XML, or from what getMetadata gave. None: the domain is no agent's.

    Of an element that can't be read the host alone stays: generation 0, no spec. Raises BadXml.
    """
    node = _find(xml.parse(text))
    if node is None:
        return None
    try:
        return Metadata.from_node(node)
    except xml.BadXml:
        return Metadata(host=node.findtext(Metadata.qualify("host")))


Change = Callable[[str], str]
"""From getMetadata's text to the one for setMetadata. Raises BadXml."""


def restamp(text: str, host: str, generation: int, request_id: str | None) -> str:
    """With another host, generation and request."""
    changed = {"host": host, "generation": generation, "request_id": _writable(request_id)}
    return _altered(text, lambda _: changed)


def with_volume(text: str, connection: VolumeConnection) -> str:
    """And with this volume, in place of one with its id."""

    def added(known: Metadata) -> dict[str, object]:
        others = (volume for volume in known.volumes if volume.id != connection.volume_id)
        return {"volumes": (*others, _connected(connection))}

    return _altered(text, added)


def without_volume(text: str, volume_id: str) -> str:
    return _altered(text, lambda known: {"volumes": tuple(v for v in known.volumes if v.id != volume_id)})


def _altered(text: str, change: Callable[[Metadata], dict[str, object]]) -> str:
    known = parse(text)
    if known is None:
        raise xml.BadXml("this isn't the agent's metadata")
    return known.model_copy(update=change(known)).bare()


def _find(root: xml.Node) -> xml.Node | None:
    if root.tag == Metadata.tag:  # getMetadata took the namespace off
        return xml.renamed(root, NAMESPACE)
    if root.tag == Metadata.qualify(Metadata.tag):
        return root
    return root.find(f"metadata/{Metadata.qualify(Metadata.tag)}")


def _writable(text: str | None) -> str | None:
    """Identifiers come from strangers and are for tracing only: what XML can't hold becomes a �."""
    return text if text is None else xml.legal(text)
