"""Who may go where: the agent into its own directory, QEMU's user through to the disks.

QEMU runs as a user of its own, which libvirt names in its capabilities. libvirt gives it the disks themselves; the
directories above them it must be able to pass through. Judged by owners and modes, as the kernel does without
access lists; whoever runs this needn't be either user.
"""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.doctor.finding import CantCheck, Finding, Findings, ok, unchecked, warning
from agent.doctor.libvirtd import door
from agent.errors import AgentError
from agent.hypervisor import xml
from agent.hypervisor.libvirt.api import Connection
from agent.hypervisor.libvirt.connection import Lane
from agent.hypervisor.storage.blocking import look
from agent.settings import Settings

ROOT = 0
PRIVATE = ("journal.db", "journal.key")


@dataclass(frozen=True, slots=True)
class User:
    uid: int
    gids: frozenset[int]

    def may(self, about: os.stat_result, bits: int) -> bool:
        """`bits` as in the last digit of a mode: 4 read, 2 write, 1 pass through."""
        if self.uid == ROOT:
            return True
        if about.st_uid == self.uid:
            return about.st_mode >> 6 & bits == bits
        if about.st_gid in self.gids:
            return about.st_mode >> 3 & bits == bits
        return about.st_mode & bits == bits


async def check(settings: Settings) -> Findings:
    found = await look(lambda: tuple(own(settings.state_dir)), f"looking at {settings.state_dir}")
    if settings.hypervisor.driver == "libvirt":
        found += await _qemus(settings)
    return found or [ok("the agent's directory is its own, and QEMU's user can pass through to the disks")]


def own(state_dir: Path) -> Iterator[Finding]:
    """Of the agent's own directory. Blocking."""
    if not state_dir.is_dir():
        raise CantCheck(f"{state_dir} isn't there", "start the agent: it makes it")
    owner = state_dir.stat().st_uid
    for name in PRIVATE:
        try:
            about = (state_dir / name).stat()
        except (FileNotFoundError, PermissionError):
            continue
        if about.st_uid != owner:
            says = f"{state_dir / name} belongs to {_name(about.st_uid)}, {state_dir} to {_name(owner)}"
            yield warning(says, f"chown {_name(owner)} {state_dir / name}")
        if about.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            yield warning(f"others may open {state_dir / name}", f"chmod 600 {state_dir / name}")


async def _qemus(settings: Settings) -> tuple[Finding, ...]:
    libvirt = door(settings)
    try:
        user = await libvirt.call(Lane.QUERY, _user, what="asking who QEMU runs as")
    except AgentError as error:
        return (unchecked(f"whether QEMU's user can reach the disks: {error.message}"),)
    finally:
        await libvirt.close()
    if user is None:
        return (unchecked("whether QEMU's user can reach the disks: libvirt doesn't say who it is"),)
    places = (settings.state_dir / "instances", *settings.storage.allowed_directories)
    passing = await look(lambda: tuple(_blocked(user, places)), "looking at the directories of disks")
    logs = await look(lambda: tuple(unreadable_logs(settings.state_dir)), "looking at the console logs")
    return (*passing, *logs)


def _user(connection: Connection) -> User | None:
    return user_of(connection.getCapabilities())


def user_of(capabilities: str) -> User | None:
    """Who QEMU runs as: from the label that libvirt's DAC driver gives it, `+uid:+gid`."""
    for model in xml.parse(capabilities).iterfind("host/secmodel"):
        if model.findtext("model") == "dac":
            label = next((label.text or "" for label in model.iterfind("baselabel")), "")
            uid, _, gid = label.replace("+", "").partition(":")
            if uid.isdigit() and gid.isdigit():
                return User(int(uid), _groups(int(uid), int(gid)))
    return None


def _groups(uid: int, gid: int) -> frozenset[int]:
    try:
        return frozenset(os.getgrouplist(pwd.getpwuid(uid).pw_name, gid))
    except KeyError:
        return frozenset({gid})


def _blocked(user: User, places: tuple[Path, ...]) -> Iterator[Finding]:
    """Each directory that stops it once, though it stands above several places."""
    stops = {stop: None for place in places if place.exists() for stop in closed_to(user, place)}
    for directory in stops:
        says = f"QEMU's user {_name(user.uid)} can't pass through {directory}: guests with disks below don't start"
        yield warning(says, f"chmod o+x {directory}")


def closed_to(user: User, place: Path) -> Iterator[Path]:
    """The directories on the way to what is in `place` that don't let the user through, `place` too."""
    place = place.resolve()
    for directory in (*reversed(place.parents), place):
        if not user.may(directory.stat(), 1):
            yield directory


def unreadable_logs(state_dir: Path) -> Iterator[Finding]:
    """Console logs that the agent's user can't read: virtlogd began new ones."""
    owner = state_dir.stat().st_uid
    agent = User(owner, _groups(owner, state_dir.stat().st_gid))
    for log in sorted((state_dir / "instances").glob("*/console.log")):
        if not agent.may(log.stat(), 4):
            says = f"{log} can't be read by the agent: virtlogd has begun a new file"
            yield warning(says, "start the guest again, or set max_size = 0 in virtlogd.conf")


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
