"""<clock>: the guest's real-time clock and its timers."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from agent.hypervisor.xml import YES_NO, At, Element


class Timer(Element):
    """`tickpolicy` says what becomes of ticks that the guest missed."""

    tag: ClassVar[str] = "timer"

    name: Annotated[Literal["pit", "rtc", "hpet"], At("@name")]
    tickpolicy: Annotated[Literal["delay", "catchup"] | None, At("@tickpolicy")] = None
    present: Annotated[bool | None, At("@present", YES_NO)] = None


class Clock(Element):
    tag: ClassVar[str] = "clock"

    offset: Annotated[Literal["utc", "localtime"], At("@offset")]
    timers: Annotated[tuple[Timer, ...], At(".")] = ()
