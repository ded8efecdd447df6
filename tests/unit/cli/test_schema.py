"""`agent-cli schema`: what it prints, without a broker."""

from __future__ import annotations

import json

import pytest
import yaml

from agent.rpc.schema.asyncapi import document, messages, schema_of
from tests.unit.cli.desk import Desk, json_of

DOCUMENT = json.loads(json.dumps(document()))


def test_it_prints_the_whole_document_as_yaml_or_json() -> None:
    assert yaml.safe_load(Desk().run("schema").stdout) == DOCUMENT
    assert json_of(Desk().run("schema", "--format", "json")) == DOCUMENT
    assert json_of(Desk().run("schema", "--json")) == DOCUMENT


def test_nothing_in_the_yaml_is_an_alias_for_another_place() -> None:
    text = Desk().run("schema").stdout
    assert [event for event in yaml.parse(text) if getattr(event, "anchor", None)] == []


def test_a_name_gives_that_messages_schema_alone() -> None:
    for name in ("spawn", "spawn.result", "error", "parked"):
        assert json_of(Desk().run("schema", name, "--json")) == json.loads(json.dumps(schema_of(messages()[name])))


@pytest.mark.parametrize(
    ("said", "title"),
    [
        ("get-instance", "GetInstanceRequest"),
        ("get-instance.result", "GetInstanceResult"),
        ("compute.instance.spawn.end", "MethodEndEvent"),
        ("compute.host.report", "HostReportEvent"),
    ],
)
def test_a_name_may_be_written_with_dashes_and_an_event_is_known_by_its_type(said: str, title: str) -> None:
    assert yaml.safe_load(Desk().run("schema", said).stdout)["title"] == title


def test_a_name_that_is_not_there_gets_the_nearest_one_as_advice() -> None:
    result = Desk().run("schema", "spwan")
    assert result.exit_code == 2
    assert "no message 'spwan': did you mean spawn?" in result.stderr
    assert "agent-cli schema --list" in Desk().run("schema", "xyzzy").stderr


def test_with_json_its_errors_are_json_too() -> None:
    result = Desk().run("schema", "spwan", "--json")
    assert "spwan" in json_of(result)["error"]["message"]


def test_the_list_has_every_message_with_what_it_says() -> None:
    listed = json_of(Desk().run("schema", "--list", "--json"))
    assert [entry["name"] for entry in listed] == list(messages())
    assert all(entry["summary"] for entry in listed)
    lines = Desk().run("schema", "--list").stdout.splitlines()
    assert len(lines) == len(messages()) + 1


def test_the_list_goes_without_a_name() -> None:
    assert Desk().run("schema", "spawn", "--list").exit_code == 2


def test_it_needs_no_settings() -> None:
    wrong = {"COMPUTE_AGENT_HOST": "events", "COMPUTE_AGENT_AMQP__URL": "nonsense"}
    assert Desk().run("schema", "ping", env=wrong).exit_code == 0
