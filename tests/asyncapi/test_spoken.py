"""What an agent and a client really say to each other is what the published schemas tell."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.errors import BY_CODE
from agent.rpc.schema.asyncapi import messages
from tests.asyncapi.conversation import conversation
from tests.rig.broker import Broker
from tests.rig.places import rig_directory
from tests.unit.schema.validators import header_problems, problems


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with rig_directory() as directory, Broker(directory) as running:
        yield running


async def test_all_that_is_said_is_valid_by_the_published_schemas(broker: Broker, tmp_path: Path) -> None:
    said = await conversation(broker.url, tmp_path / "state")
    found = {one.message for one in said}
    assert found == messages().keys()
    assert {one.body["error"]["code"] for one in said if one.message == "error"} == BY_CODE.keys()
    for one in said:
        if not one.about.startswith("refused: invalid"):
            wrong = [] if one.message == "parked" else problems(one.message, one.body)
            assert wrong == [], (one.message, one.about)
        if one.message == "parked":
            assert header_problems("parked", one.headers) == []
