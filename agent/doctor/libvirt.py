"""libvirt: does it answer, does it let all our connections in, and who runs the guests?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from agent.doctor.finding import Finding, Findings, broken, ok, unchecked, warning
from agent.doctor.libvirtd import door
from agent.errors import AgentError
from agent.hypervisor.libvirt.api import Connection
from agent.hypervisor.libvirt.connection import MAX_LOST, MAX_OVERDUE, Lane
from agent.hypervisor.libvirt.driver import workers
from agent.hypervisor.libvirt.host import dotted
from agent.hypervisor.storage.blocking import look
from agent.settings import Settings

CONFIGURATIONS = (Path("/etc/libvirt/virtqemud.conf"), Path("/etc/libvirt/libvirtd.conf"))
DEFAULTS = {"max_clients": 5000, "max_client_requests": 5, "max_workers": 20}
"""What a daemon takes that says nothing; https://libvirt.org/daemons.html."""


async def check(settings: Settings) -> Findings:
    if settings.hypervisor.driver == "fake":
        return [ok("not needed: the driver is fake")]
    uri = settings.hypervisor.uri
    libvirt = door(settings)
    try:
        versions = await libvirt.call(Lane.QUERY, _versions, what="asking libvirt's version")
    except AgentError as error:
        mend = "see that it runs, that hypervisor.uri is right, and that the agent's user is in the group libvirt"
        return [broken(error.message, mend)]
    finally:
        await libvirt.close()
    limits = await look(lambda: tuple(_limits(settings)), "reading libvirt's configuration")
    return [ok(f"{uri}: {versions}"), *limits]


def _versions(connection: Connection) -> str:
    return (
        f"libvirt {dotted(connection.getLibVersion())}, {connection.getType()} {dotted(connection.getVersion())}"
    )


def needed(settings: Settings) -> int:
    """Connections that the agent has open at most: those of its lanes, and those that hang."""
    return sum(workers(settings).values()) + MAX_LOST


def at_once(settings: Settings) -> int:
    """Changes that may hang inside of libvirt at a time while they are waited for."""
    sizes = workers(settings)
    return sum(sizes[lane] for lane in (Lane.SHORT, Lane.START, Lane.LONG)) + MAX_OVERDUE


def _limits(settings: Settings) -> Iterator[Finding]:
    """Of the system's own daemon; where another's configuration lies can't be known."""
    uri = settings.hypervisor.uri
    if "socket" in parse_qs(urlsplit(uri).query) or urlsplit(uri).netloc:
        yield unchecked("how many clients libvirt lets in: the settings name a socket or a host of its own")
        return
    for path in CONFIGURATIONS:
        try:
            text = path.read_text()
        except FileNotFoundError:
            continue
        except OSError as error:
            yield unchecked(f"how many clients libvirt lets in: {path}: {error.strerror}", "run this as root")
            return
        yield from judge(read_limits(text), needed(settings), at_once(settings), path)
        return


def read_limits(text: str) -> dict[str, int]:
    """From a daemon's configuration, with the defaults for what it doesn't say."""
    said = re.findall(r"^\s*(max_clients|max_client_requests|max_workers)\s*=\s*(\d+)", text, re.MULTILINE)
    return {**DEFAULTS, **{name: int(number) for name, number in said}}


def judge(limits: dict[str, int], wanted: int, changes: int, path: Path) -> Iterator[Finding]:
    """`wanted`: the connections that the agent opens; `changes`: the calls of it that may hang."""
    if limits["max_clients"] < wanted:
        says = f"libvirt lets {limits['max_clients']} clients in, the agent alone opens up to {wanted}"
        yield broken(says, f"raise max_clients in {path}, or lower hypervisor.lane_size")
    elif limits["max_clients"] < 2 * wanted:
        says = f"libvirt lets {limits['max_clients']} clients in, the agent alone opens up to {wanted}"
        yield warning(says, f"raise max_clients in {path}: others need connections too")
    if limits["max_client_requests"] < 2:
        says = "max_client_requests is 1: a keepalive waits behind a call that takes long"
        yield warning(says, f"raise max_client_requests in {path}; libvirt's default is 5")
    if limits["max_workers"] < changes:
        says = f"libvirt works at {limits['max_workers']} calls at once, and {changes} of the agent's may hang"
        yield warning(says, f"raise max_workers in {path}, or lower hypervisor.lane_size")
