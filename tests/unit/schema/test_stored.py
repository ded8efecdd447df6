"""Each version's contract, as it was published, holds in this version: adding is fine, changing or removing isn't.

The documents are in tests/asyncapi. One is written when a version of the contract is released, and never again:

    agent-cli schema --json > tests/asyncapi/1.1.json
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from agent.cli.schema import written
from agent.rpc.schema import VERSION
from agent.rpc.schema.asyncapi import document
from tests.asyncapi.breaks import breaks

ROOT = Path(__file__).parents[3]
STORED = {path.stem: path for path in (ROOT / "tests/asyncapi").glob("[0-9]*.json")}
PAGE = ROOT / "docs/reference/asyncapi.yaml"


def stored(version: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(STORED[version].read_text())
    return found


def test_this_versions_document_and_the_first_one_are_stored() -> None:
    assert {"1.0", VERSION} <= STORED.keys()
    assert all(stored(version)["info"]["version"] == version for version in STORED)


@pytest.mark.parametrize("version", STORED)
def test_callers_made_for_a_stored_version_can_go_on(version: str) -> None:
    found = breaks(stored(version), document())
    assert not found, "the contract may only grow, or becomes a new major version:\n" + "\n".join(map(str, found))


@pytest.mark.parametrize(
    ("schema", "field", "broken"),
    [
        ("Instance", "vcpus", "spawn.args.instance.vcpus"),
        ("Changed", "generation", "spawn.result.result.generation"),
        ("PowerState", "new", "power_state.data.new"),
        ("Error", "code", "error.error.code"),
    ],
)
def test_a_field_with_another_name_is_found_as_drift_and_as_a_break(schema: str, field: str, broken: str) -> None:
    renamed = copy.deepcopy(document())
    fields = renamed["components"]["schemas"][schema]["properties"]
    assert PAGE.read_text() == written(renamed, "yaml")
    fields["renamed"] = fields.pop(field)
    assert PAGE.read_text() != written(renamed, "yaml")
    found = {str(one) for one in breaks(stored("1.0"), renamed)}
    assert f"{broken}: the field is gone; callers made for the earlier version use it" in found
