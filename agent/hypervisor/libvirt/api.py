"""libvirt as the agent sees it: the calls and flags it uses, typed.

libvirt-python's own annotations are often wrong (lists and dicts declared as str), so `connection` takes what
it opens as a `Connection` of this file. Flags are numbers of libvirt's ABI; a test compares them with the
library. Nothing here imports libvirt, so everything that works on a domain can.

A `Domain` never leaves the function that looked it up: it holds its connection open.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import Any, Protocol


class Affect(enum.IntFlag):
    """VIR_DOMAIN_AFFECT_*: the running guest, its stored definition, or both."""

    CURRENT = 0
    LIVE = 1
    CONFIG = 2


class Xml(enum.IntFlag):
    """VIR_DOMAIN_XML_*"""

    LIVE = 0
    INACTIVE = 2


class Define(enum.IntFlag):
    """VIR_DOMAIN_DEFINE_*"""

    VALIDATE = 1


class Undefine(enum.IntFlag):
    """VIR_DOMAIN_UNDEFINE_*"""

    MANAGED_SAVE = 1
    SNAPSHOTS_METADATA = 2
    NVRAM = 4
    CHECKPOINTS_METADATA = 16
    TPM = 32


class Stats(enum.IntFlag):
    """VIR_DOMAIN_STATS_*: groups of counters, each costs a round trip to QEMU."""

    STATE = 1
    CPU_TOTAL = 2
    BALLOON = 4
    VCPU = 8
    INTERFACE = 16
    BLOCK = 32


class GetStats(enum.IntFlag):
    """VIR_CONNECT_GET_ALL_DOMAINS_STATS_*"""

    NOWAIT = 1 << 29


class PowerButton(enum.IntFlag):
    """VIR_DOMAIN_SHUTDOWN_* and VIR_DOMAIN_REBOOT_*: how the guest is asked."""

    ACPI = 1


class Control(enum.IntEnum):
    """VIR_DOMAIN_CONTROL_*: what libvirt does with a running guest's QEMU just now."""

    OK = 0
    JOB = 1
    OCCUPIED = 2
    ERROR = 3


CONTROL_LOST = 2  # VIR_DOMAIN_CONTROL_ERROR_REASON_MONITOR: QEMU can't be spoken to, so nothing goes on in it
METADATA_ELEMENT = 2  # VIR_DOMAIN_METADATA_ELEMENT

DomainStats = dict[str, Any]
Registration = int


class Domain(Protocol):
    """virDomain."""

    def UUIDString(self) -> str: ...  # noqa: N802
    def name(self) -> str: ...
    def state(self) -> list[int]: ...
    def controlInfo(self, flags: int = 0) -> list[int]: ...  # noqa: N802
    def isActive(self) -> int: ...  # noqa: N802
    def isPersistent(self) -> int: ...  # noqa: N802
    def hasManagedSaveImage(self) -> int: ...  # noqa: N802
    def XMLDesc(self, flags: int = 0) -> str: ...  # noqa: N802
    def metadata(self, type: int, uri: str, flags: int = 0) -> str: ...
    def setMetadata(self, type: int, metadata: str, key: str, uri: str, flags: int = 0) -> int: ...  # noqa: N802
    def createWithFlags(self, flags: int = 0) -> int: ...  # noqa: N802
    def destroy(self) -> int: ...
    def shutdownFlags(self, flags: int = 0) -> int: ...  # noqa: N802
    def reboot(self, flags: int = 0) -> int: ...
    def reset(self, flags: int = 0) -> int: ...
    def suspend(self) -> int: ...
    def resume(self) -> int: ...
    def pMWakeup(self, flags: int = 0) -> int: ...  # noqa: N802
    def managedSave(self, flags: int = 0) -> int: ...  # noqa: N802
    def undefine(self) -> int: ...
    def undefineFlags(self, flags: int = 0) -> int: ...  # noqa: N802
    def attachDeviceFlags(self, xml: str, flags: int = 0) -> int: ...  # noqa: N802
    def detachDeviceFlags(self, xml: str, flags: int = 0) -> int: ...  # noqa: N802
    def detachDeviceAlias(self, alias: str, flags: int = 0) -> int: ...  # noqa: N802


class Network(Protocol):
    """virNetwork."""

    def isActive(self) -> int: ...  # noqa: N802


class Secret(Protocol):
    """virSecret."""

    def UUIDString(self) -> str: ...  # noqa: N802
    def usageID(self) -> str | None: ...  # noqa: N802
    def undefine(self) -> int: ...


class Connection(Protocol):
    """virConnect."""

    def isAlive(self) -> int: ...  # noqa: N802
    def close(self) -> int: ...
    def setKeepAlive(self, interval: int, count: int) -> int: ...  # noqa: N802
    def getLibVersion(self) -> int: ...  # noqa: N802
    def getVersion(self) -> int: ...  # noqa: N802
    def getType(self) -> str: ...  # noqa: N802
    def getInfo(self) -> list[Any]: ...  # noqa: N802
    def getMemoryStats(self, cellNum: int, flags: int = 0) -> dict[str, int]: ...  # noqa: N802, N803
    def getCapabilities(self) -> str: ...  # noqa: N802
    def getDomainCapabilities(  # noqa: N802
        self,
        emulatorbin: str | None = None,
        arch: str | None = None,
        machine: str | None = None,
        virttype: str | None = None,
        flags: int = 0,
    ) -> str: ...
    def lookupByUUID(self, uuid: bytes) -> Domain: ...  # noqa: N802
    def lookupByName(self, name: str) -> Domain: ...  # noqa: N802
    def listAllDomains(self, flags: int = 0) -> list[Domain]: ...  # noqa: N802
    def networkLookupByName(self, name: str) -> Network: ...  # noqa: N802
    def listAllSecrets(self, flags: int = 0) -> list[Secret]: ...  # noqa: N802
    def defineXMLFlags(self, xml: str, flags: int = 0) -> Domain: ...  # noqa: N802
    def domainListGetStats(  # noqa: N802
        self, doms: Sequence[Domain], stats: int = 0, flags: int = 0
    ) -> list[tuple[Domain, DomainStats]]: ...
    def domainEventRegisterAny(  # noqa: N802
        self, dom: Domain | None, event: int, callback: Callable[..., None], opaque: object
    ) -> Registration: ...
    def domainEventDeregisterAny(self, registration: Registration) -> int: ...  # noqa: N802
    def registerCloseCallback(self, callback: Callable[..., None], opaque: object) -> int: ...  # noqa: N802
    def unregisterCloseCallback(self) -> int: ...  # noqa: N802
