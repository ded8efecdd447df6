"""The fake guest's life, as pure functions of time."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from agent.hypervisor.fake import life
from agent.hypervisor.fake.life import Domain, Pace
from agent.spec import (
    DiskBus,
    DiskFormat,
    FileBacking,
    ImageDisk,
    ImageSource,
    InstanceSpec,
    PluggedDisk,
    PowerState,
)

UUID_ = UUID(int=1)
PACE = Pace(boot_seconds=10.0, shutdown_seconds=2.0)
IMAGE = ImageSource.model_validate({"url": "file:///image", "format": "qcow2"})


def disk(disk_id: str) -> PluggedDisk:
    backing = FileBacking.model_validate({"path": f"/{disk_id}", "format": DiskFormat.QCOW2})
    return PluggedDisk(id=disk_id, bus=DiskBus.VIRTIO, backing=backing)


def bootable(**update: Any) -> Domain:
    root = ImageDisk(id="root", image=IMAGE)
    spec = InstanceSpec(uuid=UUID_, name="g", vcpus=1, memory_mb=64, disks=(root,))
    plain = Domain(uuid=UUID_, name="g", spec=spec, disks=(disk("root"),))
    return plain.model_copy(update=update)


def booted(**update: Any) -> Domain:
    return life.settled(life.started(bootable(**update), 0.0, PACE, None), 10.0, PACE)


def states(domain: Domain) -> list[tuple[PowerState, str]]:
    return [(change.state, change.reason) for change in domain.changes]


def test_a_guest_is_up_when_its_boot_took_its_time_and_not_before() -> None:
    started = life.started(bootable(), 0.0, PACE, None)
    assert not life.settled(started, 9.9, PACE).answers
    up = life.settled(started, 10.0, PACE)
    assert up.answers
    assert "GUEST-READY host=g" in up.console


def test_a_clock_that_was_set_back_makes_no_guest_wait_for_it() -> None:
    started = life.started(bootable(), 3600.0, PACE, None)
    assert life.settled(started, 0.0, PACE).answers


def test_a_guest_with_nothing_to_boot_never_comes_up() -> None:
    empty = bootable(disks=(disk("blank"),))
    assert not life.settled(life.started(empty, 0.0, PACE, None), 1e9, PACE).answers


def test_the_power_button_is_heeded_after_a_while_and_the_time_is_that_of_the_deed() -> None:
    pressed = life.button_pressed(booted(), 20.0, PACE, "off")
    assert life.settled(pressed, 21.9, PACE).state is PowerState.RUNNING
    off = life.settled(pressed, 1000.0, PACE)
    assert (off.state, off.reason) == (PowerState.SHUTDOWN, "shutdown")
    assert off.changes[-1].at.timestamp() == 22.0


def test_a_deaf_or_a_booting_guest_doesnt_hear_the_button() -> None:
    deaf, booting = booted(deaf=True), life.started(bootable(), 0.0, PACE, None)
    for guest in (deaf, booting):
        assert life.button_pressed(guest, 1.0, PACE, "off") == guest


def test_pressing_the_button_twice_is_pressing_it_once() -> None:
    once = life.button_pressed(booted(), 20.0, PACE, "off")
    assert life.button_pressed(once, 21.0, PACE, "off") == once


def test_the_clock_of_a_paused_guest_stands_still() -> None:
    paused = life.paused(life.started(bootable(), 0.0, PACE, None), 4.0)
    assert not life.settled(paused, 1000.0, PACE).answers
    resumed = life.resumed(paused, 1000.0)
    assert not life.settled(resumed, 1005.9, PACE).answers
    assert life.settled(resumed, 1006.0, PACE).answers


def test_a_suspended_guest_goes_on_where_it_was_and_says_so_in_one_word_each() -> None:
    saved = life.saved(life.started(bootable(), 0.0, PACE, None), 4.0)
    restored = life.started(saved, 1000.0, PACE, None)
    assert states(restored) == [
        (PowerState.RUNNING, "booted"),
        (PowerState.SUSPENDED, "saved"),
        (PowerState.RUNNING, "restored"),
    ]
    assert life.settled(restored, 1006.0, PACE).answers


def test_a_reset_guest_boots_again_without_a_power_change() -> None:
    up = booted()
    again = life.was_reset(up, 20.0, PACE)
    assert not again.answers
    assert again.resets == up.resets + 1
    assert again.changes == up.changes
    assert life.settled(again, 30.0, PACE).console.count("GUEST-READY") == 2


def test_a_device_goes_at_once_later_or_not_at_all() -> None:
    key: life.Key = ("disks", "root")
    up = booted()
    assert life.found(life.asked_back(up, key).live, key) is None
    booting = life.started(bootable(), 0.0, PACE, None)
    lost = life.asked_back(booting, key)
    assert life.found(life.settled(lost, 100.0, PACE).live, key) is not None
    asked = life.asked_back(life.paused(up, 20.0), key)
    assert life.found(asked.live, key) is not None
    assert life.found(life.resumed(asked, 30.0).live, key) is None
    stubborn = booted(stubborn=True)
    assert life.asked_back(stubborn, key) == stubborn


ACTS = {
    "start": lambda d, now: d if d.active else life.started(d, now, PACE, None),
    "kill": lambda d, now: life.stopped(d, now, PowerState.CRASHED, "crashed") if d.active else d,
    "pause": lambda d, now: life.paused(d, now) if d.state is PowerState.RUNNING else d,
    "resume": lambda d, now: life.resumed(d, now) if d.state is PowerState.PAUSED else d,
    "save": lambda d, now: life.saved(d, now) if d.active else d,
    "reset": lambda d, now: life.was_reset(d, now, PACE) if d.active else d,
    "off": lambda d, now: life.button_pressed(d, now, PACE, "off") if d.active else d,
    "reboot": lambda d, now: life.button_pressed(d, now, PACE, "reset") if d.active else d,
}
steps = st.lists(st.tuples(st.sampled_from(sorted(ACTS)), st.floats(0.0, 30.0)), max_size=30)


@given(steps)
def test_whatever_happens_the_guest_stays_one_that_can_be(acts: list[tuple[str, float]]) -> None:
    domain, now = bootable(), 0.0
    for act, passes in acts:
        now += passes
        before = domain.state
        domain = ACTS[act](life.settled(domain, now, PACE), now)
        assert life.settled(domain, now, PACE) == life.settled(life.settled(domain, now, PACE), now, PACE)
        has_memory = domain.active or domain.state is PowerState.SUSPENDED
        assert (domain.live is not None) == has_memory
        assert len(domain.due) <= 2
        assert has_memory or domain.due == ()
        if domain.state is not before:
            assert domain.changes[-1].state is domain.state


@given(steps, st.floats(0.0, 30.0))
def test_looking_often_or_once_makes_no_difference(acts: list[tuple[str, float]], rest: float) -> None:
    seldom, now = bootable(), 0.0
    for act, passes in acts:
        now += passes
        seldom = ACTS[act](life.settled(seldom, now, PACE), now)
    often = seldom
    for share in (0.1, 0.5, 0.9):
        often = life.settled(often, now + rest * share, PACE)
    assert life.settled(often, now + rest, PACE) == life.settled(seldom, now + rest, PACE)
