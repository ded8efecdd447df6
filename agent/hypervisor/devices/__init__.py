"""The devices a guest can have: one small file for each, which knows no other and holds no policy."""

from __future__ import annotations

from typing import TypeAlias

from agent.hypervisor.devices.balloon import Balloon
from agent.hypervisor.devices.channel import GuestAgentChannel
from agent.hypervisor.devices.console import PtySerial, UnixSerial
from agent.hypervisor.devices.controller import NoUsb, PcieRootPort, VirtioScsi
from agent.hypervisor.devices.disk import AnyDisk
from agent.hypervisor.devices.graphics import Video, Vnc
from agent.hypervisor.devices.interface import AnyNic
from agent.hypervisor.devices.rng import Rng

# What may stand in <devices>.
Device: TypeAlias = (
    NoUsb
    | PcieRootPort
    | VirtioScsi
    | AnyDisk
    | AnyNic
    | PtySerial
    | UnixSerial
    | GuestAgentChannel
    | Vnc
    | Video
    | Rng
    | Balloon
)
