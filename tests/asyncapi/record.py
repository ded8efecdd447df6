"""Writes the published examples anew, from a talk with an agent and from examples/:

python -m tests.asyncapi.record

Needed when a message is added. Ids and times are others each time, so all of the file changes.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from agent.cli.files import load
from agent.rpc.schema.asyncapi import examples, messages
from tests.asyncapi.conversation import Said, conversation
from tests.rig.broker import Broker
from tests.rig.places import rig_directory

ROOT = Path(__file__).parents[2]
FILE = Path(examples.__file__).with_name("examples.json")
STATE_DIR = "/var/lib/compute-agent"
"""Stands for the directory of the recording."""

FULL = "spawn-full"
"""The file in examples/ that says all there is to say."""


def full() -> dict[str, Any]:
    """It as an example of a spawn."""
    args = load(str(ROOT / "examples" / f"{FULL}.yaml"))
    return {"name": FULL, "payload": {"method": "spawn", "version": "1.0", "args": args}}


def chosen(said: Iterable[Said]) -> dict[str, list[dict[str, Any]]]:
    """The first of each message, and of each code the first error."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in messages()}
    for one in said:
        name = one.body["error"]["code"] if one.message == "error" else one.message
        known = found[one.message]
        if name not in (example["name"] for example in known):
            known.append({"name": name, "payload": one.body} | ({"headers": one.headers} if one.headers else {}))
    found["spawn"].append(full())
    return found


def main() -> None:
    with rig_directory() as place, Broker(place) as broker, tempfile.TemporaryDirectory() as directory:
        state_dir = Path(directory) / "state"
        said = asyncio.run(conversation(broker.url, state_dir))
    text = json.dumps(chosen(said), indent=1, ensure_ascii=False)
    FILE.write_text(text.replace(str(state_dir), STATE_DIR) + "\n")


if __name__ == "__main__":
    main()
