"""`python -m agent.hypervisor.fake STATE_DIR ACT [UUID]`: the hands of `control.FakeWorld`, in a shell."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

from agent.hypervisor.fake.control import FakeWorld

ON_A_GUEST: dict[str, Callable[[FakeWorld, UUID], None]] = {
    "power-off": FakeWorld.guest_power_off,
    "reboot": FakeWorld.guest_reboot,
    "kill": FakeWorld.kill,
    "destroy": FakeWorld.destroy,
    "suspend": FakeWorld.suspend,
    "resume": FakeWorld.resume,
    "undefine": FakeWorld.undefine,
    "stubborn": lambda world, uuid: world.make_stubborn(uuid, True),
    "willing": lambda world, uuid: world.make_stubborn(uuid, False),
    "deaf": lambda world, uuid: world.make_deaf(uuid, True),
    "hearing": lambda world, uuid: world.make_deaf(uuid, False),
}
ON_THE_HOST: dict[str, Callable[[FakeWorld], None]] = {
    "list": lambda world: _print(world),
    "down": lambda world: world.outage(True),
    "up": lambda world: world.outage(False),
}


def _print(world: FakeWorld) -> None:
    for domain in sorted(world.domains().values(), key=lambda d: d.name):
        print(domain.uuid, domain.state, domain.name)


def main(arguments: list[str] | None = None) -> int:
    """0 when done, 1 when the guest isn't there or not in a state for it, 2 for a misuse."""
    parser = argparse.ArgumentParser(prog="python -m agent.hypervisor.fake", description=__doc__)
    parser.add_argument("state_dir", type=Path)
    parser.add_argument("act", choices=[*ON_THE_HOST, *ON_A_GUEST])
    parser.add_argument("uuid", type=UUID, nargs="?")
    asked = parser.parse_args(arguments)
    if (asked.act in ON_A_GUEST) != (asked.uuid is not None):
        parser.error(f"{asked.act} takes {'a uuid' if asked.act in ON_A_GUEST else 'no uuid'}")
    if not (asked.state_dir / "world").is_dir():
        parser.error(f"{asked.state_dir} holds no fake world")
    world = FakeWorld(asked.state_dir)
    try:
        if asked.act in ON_A_GUEST:
            ON_A_GUEST[asked.act](world, asked.uuid)
        else:
            ON_THE_HOST[asked.act](world)
    except (KeyError, ValueError) as error:
        print(f"no such guest: {asked.uuid}" if isinstance(error, KeyError) else error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
