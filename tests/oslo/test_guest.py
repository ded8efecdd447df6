"""The same story with a real guest: libvirtd, QEMU, a service of plain oslo.messaging; see story.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.daemon import Daemon
from tests.e2e.story import bootable
from tests.oslo.telling import tell
from tests.rig import Rig, blank, rig_directory

pytestmark = pytest.mark.slow


@pytest.fixture
def rig() -> Iterator[Rig]:
    """Its broker is restarted: that is nothing for others."""
    with rig_directory() as directory, Rig(directory) as started:
        yield started


async def test_a_real_guest_lives_and_dies_over_a_restart_of_the_broker(rig: Rig, tmp_path: Path) -> None:
    volume = blank(rig.directory / "volume.raw", "8M")
    info = {"driver_volume_type": "file", "data": {"path": str(volume), "volume_id": "vol-1"}}
    image = Path(rig.environment["RIG_GUEST_IMAGE"])
    settings = {
        **rig.environment,
        "COMPUTE_AGENT_RPC__EXCHANGE": "nova",
        "COMPUTE_AGENT_RPC__TOPIC": "nova",
        "COMPUTE_AGENT_NOTIFICATIONS__ENABLED": "true",
        # A guest that is still booting lets nothing go.
        "COMPUTE_AGENT_HYPERVISOR__DETACH_TIMEOUT_S": "150",
        "COMPUTE_AGENT_STORAGE__ALLOWED_DIRECTORIES": f'["{image.parent}", "{rig.directory}"]',
    }
    guest = bootable(rig)["instance"]
    with Daemon(rig.directory / "agent", "h1", settings):
        # A durable exchange, as the agent has it by itself.
        lines = await tell(rig.broker, "nova", "h1", guest, info, tmp_path / "log", amqp_durable_queues="true")
    assert lines[-1] == "THE END"
