"""A service written with plain oslo.messaging leads a make-believe guest through its life; see story.py."""

from __future__ import annotations

from pathlib import Path

from agent.hypervisor.fake.control import FakeWorld
from agent.hypervisor.fake.faults import Fault
from tests.e2e.daemon import Daemon
from tests.e2e.story import small
from tests.oslo.conftest import environment
from tests.oslo.telling import tell
from tests.rig.broker import Broker
from tests.rig.images import blank


async def test_a_guest_lives_and_dies_over_a_restart_of_the_broker(own_broker: Broker, tmp_path: Path) -> None:
    image, volume = (blank(tmp_path / f"{name}.raw", "8M") for name in ("image", "volume"))
    # Only a guest that has booted lets a device go.
    guest = small(disks=[{"kind": "image", "image": {"url": str(image), "format": "raw"}}])["instance"]
    info = {"driver_volume_type": "file", "data": {"path": str(volume), "volume_id": "vol-1"}}
    settings = environment(own_broker, "nova", notifications__enabled="true")
    settings["COMPUTE_AGENT_STORAGE__ALLOWED_DIRECTORIES"] = f'["{tmp_path}"]'
    with Daemon(tmp_path / "agent", "h1", settings) as agent:
        # Longer than a broker needs to be gone.
        FakeWorld(agent.state_dir).faults.add(Fault(call="domains.detach_disk", slow=8.0, times=1))
        lines = await tell(own_broker, "nova", "h1", guest, info, tmp_path / "oslo.log")
    assert lines[-1] == "THE END"
