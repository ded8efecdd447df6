"""AsyncAPI's own parser and its own JSON schema have nothing against the document that the command line prints."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from agent.rpc.schema.asyncapi import ASYNCAPI, messages

pytestmark = pytest.mark.slow  # needs Node.js, which nothing else does

HERE = Path(__file__).parent
OFFICIAL = HERE / "node_modules/@asyncapi/specs/schemas" / f"{ASYNCAPI}-without-$id.json"

NEWER = "asyncapi-latest-version"
"""What the parser tells of each document that isn't of the newest AsyncAPI: readers of 3.0 are many more."""


def printed(*options: str) -> str:
    command = [sys.executable, "-m", "agent.cli.main", "schema", *options]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def parsed(text: str) -> tuple[dict[str, Any], set[str]]:
    """What the parser said, and the codes of its complaints."""
    ran = subprocess.run(["node", HERE / "parse.js"], input=text, check=True, capture_output=True, text=True)
    said = json.loads(ran.stdout)
    return said, {one["code"] for one in said["diagnostics"]} - {NEWER}


def test_the_official_parser_reads_it_without_a_complaint() -> None:
    said, complaints = parsed(printed())
    assert complaints == set(), said["diagnostics"]
    assert said["messages"] == len(messages())


def test_it_would_complain_of_a_field_that_does_not_belong_there() -> None:
    document = json.loads(printed("--json"))
    document["channels"]["commands"]["adress"] = "compute"
    assert "asyncapi-document-resolved" in parsed(json.dumps(document))[1]


def test_it_would_complain_of_an_operation_with_a_message_of_another_channel() -> None:
    document = json.loads(printed("--json"))
    document["operations"]["ping"]["messages"] = [{"$ref": "#/channels/commands/messages/ping"}]
    assert "asyncapi3-operation-messages-from-referred-channel" in parsed(json.dumps(document))[1]


def test_it_is_valid_by_the_official_json_schema() -> None:
    official = Draft7Validator(json.loads(OFFICIAL.read_text()))
    document = json.loads(printed("--json"))
    assert [error.message for error in official.iter_errors(document)] == []
    assert not official.is_valid({**document, "asyncapi": "2.0.0"})
    assert not official.is_valid({**document, "operations": {"ping": {"action": "ask"}}})
