"""Daemons that integration tests share; each test takes names of its own on them."""

from collections.abc import Iterator

import pytest

from tests.rig.broker import Broker
from tests.rig.libvirtd import Libvirtd
from tests.rig.places import rig_directory


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """A private RabbitMQ for the whole run. Who stops or blocks it puts it right again."""
    with rig_directory() as directory, Broker(directory) as running:
        yield running


@pytest.fixture(scope="session")
def libvirtd() -> Iterator[Libvirtd]:
    """A private libvirtd for the whole run. Who kills or freezes it puts it right again."""
    with rig_directory() as directory, Libvirtd(directory) as running:
        yield running
