"""A fake host in a directory of its own, and the hands of everybody else on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from agent.hypervisor.fake.control import FakeWorld
from agent.hypervisor.fake.driver import fake_driver
from agent.hypervisor.ports import Guest, Hypervisor
from agent.spec import BlankDisk, DiskFormat, ImageDisk, ImageSource, InstanceSpec


@dataclass
class Fake:
    state: Path
    driver: Hypervisor
    hands: FakeWorld

    def spec(self, **changes: Any) -> InstanceSpec:
        uuid = uuid4()
        plain = InstanceSpec(uuid=uuid, name=f"guest-{uuid}", vcpus=1, memory_mb=64)
        return plain.model_copy(update=changes)

    def bootable(self) -> InstanceSpec:
        path = self.state / "image.qcow2"
        self.hands.make_image(path)
        image = ImageSource(url=path.as_uri(), format=DiskFormat.QCOW2)
        return self.spec(disks=(ImageDisk(id="root", image=image),))

    async def define(self, spec: InstanceSpec) -> InstanceSpec:
        disks = self.driver.disks.layout(spec)
        await self.driver.domains.define(Guest(spec=spec, disks=disks, generation=1))
        return spec

    async def run(self, spec: InstanceSpec) -> InstanceSpec:
        await self.define(spec)
        await self.driver.domains.start(spec.uuid)
        return spec

    def blank(self, size_mb: int) -> InstanceSpec:
        return self.spec(disks=(BlankDisk(id="blank", size_mb=size_mb),))


@pytest.fixture
def make_fake(tmp_path: Path) -> Callable[..., Fake]:
    """Makes drivers of one host: each call is an agent that starts there."""

    def make(**options: Any) -> Fake:
        driver = fake_driver(tmp_path, hostname="fake-1", poll=0.05, **options)
        return Fake(tmp_path, driver, FakeWorld(tmp_path))

    return make


@pytest.fixture
def fake(make_fake: Callable[..., Fake]) -> Fake:
    new = make_fake()
    new.hands.configure(boot_seconds=0.0, shutdown_seconds=0.0)
    return new
