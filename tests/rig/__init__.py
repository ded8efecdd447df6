"""The world around an agent, for tests and the demo: a broker, a libvirtd, a network, volumes, guests.

All of it is private to a directory: two rigs run side by side, neither touches what the box itself runs, and
nothing outlives the process that started it unless it was started detached. Needs root, and what scripts/setup
installs.
"""

from tests.rig.broker import Broker
from tests.rig.images import blank, guest_image, overlay
from tests.rig.kvm import kvm_boots_guests
from tests.rig.libvirtd import Libvirtd
from tests.rig.nbd import NbdExport
from tests.rig.network import Network
from tests.rig.places import free_port, own_mounts, rig_directory, sweep
from tests.rig.processes import RigError
from tests.rig.rig import Rig

__all__ = [
    "Broker",
    "Libvirtd",
    "NbdExport",
    "Network",
    "Rig",
    "RigError",
    "blank",
    "free_port",
    "guest_image",
    "kvm_boots_guests",
    "overlay",
    "own_mounts",
    "rig_directory",
    "sweep",
]
