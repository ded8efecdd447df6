"""Where an operation can die: every call that its steps make, and every mark that they leave in the journal."""

from __future__ import annotations

from agent.operations import TABLE
from tests.chaos.coverage import Place

CALLS: dict[str, tuple[str, ...]] = {
    "spawn": (
        "disks.check",
        "disks.fetch",
        "disks.make_directory",
        "disks.create",
        "nics.check",
        "domains.define",
        "domains.start",
        "domains.stamp",
        "domains.get",
    ),
    "destroy": ("domains.get", "domains.power_off", "nics.unplug", "disks.remove", "domains.undefine"),
    "attach_volume": ("domains.note_volume", "volumes.connect", "domains.attach_disk"),
    "detach_volume": ("domains.detach_disk", "volumes.disconnect", "domains.forget_volume"),
    "attach_interface": ("nics.check", "domains.attach_interface"),
    "detach_interface": ("domains.detach_interface",),
    "start": ("domains.start",),
    "stop": ("domains.shutdown", "domains.power_off"),
    "reboot": ("domains.reset", "domains.unpause"),
    "pause": ("domains.pause",),
    "unpause": ("domains.unpause",),
    "suspend": ("domains.suspend",),
    "resume": ("domains.start",),
}
"""Of the fake's ports."""
UNDONE: dict[str, tuple[str, ...]] = {
    "spawn": ("domains.power_off", "nics.unplug", "domains.undefine", "disks.remove"),
    "attach_volume": ("domains.detach_disk", "volumes.disconnect", "domains.forget_volume"),
    "attach_interface": ("domains.detach_interface", "nics.unplug"),
}
"""Calls of an undoing."""
FAILS = {
    "spawn": "domains.start",
    "attach_volume": "domains.attach_disk",
    "attach_interface": "domains.attach_interface",
}
"""The call that fails when all was done, so that it has to be undone."""
DIVIDED = frozenset(
    {
        "disks.create",
        "disks.remove",
        "domains.start",
        "domains.suspend",
        "domains.attach_disk",
        "domains.attach_interface",
        "domains.detach_disk",
        "domains.detach_interface",
        "volumes.connect",
    }
)
"""Calls that can be half done. `disks.fetch` too, but only by the first who wants an image: all others find it in
the cache."""

ABOUT_NO_INSTANCE = frozenset({"disks.fetch", "nics.check", "volumes.connect", "volumes.disconnect"})
"""Calls that aren't told whom they are for: who aims at one of them hits the first who comes by."""

FIRST: dict[str, tuple[str, ...]] = {
    "spawn": (),
    "start": ("spawn", "stop"),
    "unpause": ("spawn", "pause"),
    "resume": ("spawn", "suspend"),
    "detach_volume": ("spawn", "attach_volume"),
    "detach_interface": ("spawn", "attach_interface"),
}
"""What is asked of an instance before, so that the method has something to do; else a spawn."""


def fake_places() -> list[Place]:
    forward = [(method, call, False) for method, calls in CALLS.items() for call in calls]
    backward = [(method, call, True) for method, calls in UNDONE.items() for call in calls]
    return [
        Place(method, call, when, undone)
        for method, call, undone in [*forward, *backward]
        for when in (("before", "half", "after") if call in DIVIDED else ("before", "after"))
    ]


def libvirt_places() -> list[Place]:
    """Every step of every saga, begun and done."""
    return [
        Place(method, step.name, mark)
        for method, operation in TABLE.items()
        for step in operation.saga.steps
        for mark in ("begun", "done")
    ]


def chain(method: str, lets_go: bool = True) -> tuple[str, ...]:
    """What to ask of a new instance so that the method runs on it. `lets_go`: whether a running guest gives its
    devices back; else it is switched off for that."""
    first = FIRST.get(method, ("spawn",))
    off = ("stop",) if method.startswith("detach") and not lets_go else ()
    return (*first, *off, method)
