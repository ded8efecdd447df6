"""The published document is whole, means what the agent does, and its examples are messages."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft7Validator, Draft202012Validator
from pydantic import BaseModel

from agent.errors import BY_CODE
from agent.names import Names
from agent.rpc.schema import METHODS
from agent.rpc.schema.asyncapi import document, messages, named, schema_of
from agent.rpc.schema.asyncapi.channels import NAMES, Exchange, channels
from agent.rpc.schema.asyncapi.dialect import schemas as schemas_of
from agent.rpc.schema.asyncapi.examples import examples_of
from agent.rpc.schema.envelope import Body, Parked
from agent.rpc.schema.event_types import METHODS_WITH_EVENTS, TYPES
from agent.rpc.topology import Layout
from agent.rpc.validation import validate
from agent.settings import Rpc
from tests.asyncapi.record import FULL, full
from tests.unit.schema.validators import header_problems, problems

DOCUMENT = json.loads(json.dumps(document()))
OPERATIONS = DOCUMENT["operations"]
COMPONENTS = DOCUMENT["components"]
EXAMPLES = [(name, example["name"]) for name in messages() for example in examples_of(name)]


def example(message: str, name: str) -> Any:
    (found,) = (one for one in examples_of(message) if one["name"] == name)
    return found


def names_in(references: list[dict[str, str]]) -> set[str]:
    return {reference["$ref"].rpartition("/")[2] for reference in references}


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(target := value.get("$ref"), str):
            yield target
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


# --- all of the contract is there ---


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_an_operation_that_is_answered_with_its_result_or_an_error(method: str) -> None:
    operation = OPERATIONS[method]
    assert operation["action"] == "receive"
    assert names_in(operation["messages"]) == {method}
    assert names_in(operation["reply"]["messages"]) == {f"{method}.result", "error"}
    assert operation["reply"]["channel"] == {"$ref": "#/channels/replies"}


@pytest.mark.parametrize("method", METHODS)
def test_a_requests_schema_has_the_envelopes_fields_and_the_methods_arguments(method: str) -> None:
    schema = COMPONENTS["schemas"][messages()[method].body.__name__]
    assert schema["properties"].keys() == Body.model_fields.keys()
    assert schema["properties"]["method"]["const"] == method
    arguments = next(references(schema["properties"]["args"])).rpartition("/")[2]
    assert COMPONENTS["schemas"][arguments]["properties"].keys() == METHODS[method].params.model_fields.keys()


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.name)
def test_every_event_is_an_operation_on_a_channel_of_its_own_with_its_data(kind: Any) -> None:
    assert OPERATIONS[kind.name]["action"] == "send"
    assert names_in(OPERATIONS[kind.name]["messages"]) == {kind.name}
    address = DOCUMENT["channels"][kind.name]["address"]
    assert address.startswith(kind.type.replace("<method>", "{method}") + ".{")
    schema = COMPONENTS["schemas"][messages()[kind.name].body.__name__]
    assert schema["properties"]["data"] == {"$ref": f"#/components/schemas/{kind.data.__name__}"}
    assert ("sequence" in schema["required"]) is kind.durable
    assert ("subject" in schema["required"]) is kind.subject


def test_every_error_code_is_there_with_what_it_means_and_whether_to_try_again() -> None:
    codes = COMPONENTS["messages"]["error"]["x-error-codes"]
    assert {code: facts["retryable"] for code, facts in codes.items()} == {
        code: kind.retryable for code, kind in BY_CODE.items()
    }
    assert all(facts["meaning"] for facts in codes.values())


def test_every_header_of_a_parked_message_is_there() -> None:
    known = {value for name, value in vars(Parked).items() if name.isupper()}
    assert set(messages()["parked"].headers["properties"]) == known


def test_where_a_read_is_taken_is_told_for_each_queue() -> None:
    reads = {name for name, method in METHODS.items() if method.kind == "read"}
    assert names_in(OPERATIONS["reads_by_any_host"]["messages"]) == reads
    assert names_in(OPERATIONS["reads_by_all_hosts"]["messages"]) == reads
    assert names_in(OPERATIONS["queries_on_commands"]["messages"]) == {*reads, "cancel_operation"}


# --- it is sound ---


def test_every_reference_leads_somewhere() -> None:
    for reference in references(DOCUMENT):
        here: Any = DOCUMENT
        for step in reference.removeprefix("#/").split("/"):
            here = here[step]


def test_every_schema_has_a_name_that_tells_it_from_all_others() -> None:
    assert [name for name in COMPONENTS["schemas"] if not re.fullmatch(r"[A-Z][A-Za-z]+", name)] == []


@pytest.mark.parametrize("message", messages())
def test_every_messages_schema_is_one_by_draft_7_and_2020_12_and_stands_alone(message: str) -> None:
    schema = schema_of(messages()[message])
    Draft7Validator.check_schema(schema)
    Draft202012Validator.check_schema({key: value for key, value in schema.items() if key != "$schema"})
    inside = {reference.removeprefix("#/definitions/") for reference in references(schema)}
    assert inside == schema.get("definitions", {}).keys()


def schemas(value: Any) -> Iterator[dict[str, Any]]:
    """Every schema in one, itself first."""
    if isinstance(value, list):
        for inner in value:
            yield from schemas(inner)
    elif isinstance(value, dict):
        yield value
        for key, inner in value.items():
            yield from schemas(list(inner.values()) if key == "properties" else inner)


def test_nothing_is_in_a_schema_that_only_pydantic_or_openapi_know() -> None:
    standard = {"uuid", "date-time", "password", "ipv4", "ipv6"}
    found = list(schemas(list(COMPONENTS["schemas"].values())))
    assert {one["format"] for one in found if "format" in one} <= standard
    assert [one for one in found if "discriminator" in one or isinstance(one.get("default"), dict)] == []


def test_a_field_named_like_a_keyword_is_left_alone() -> None:
    class Odd(BaseModel):
        format: str = "x"
        discriminator: dict[str, str]
        default: int

    assert schemas_of([Odd])["Odd"]["properties"].keys() == {"format", "discriminator", "default"}


def test_each_list_of_values_has_a_name_of_its_own_for_generators_of_code() -> None:
    found = [one for one in schemas(list(COMPONENTS["schemas"].values())) if "enum" in one]
    assert found
    assert len({one["title"] for one in found}) == len(found)


@pytest.mark.parametrize("channel", channels(), ids=lambda channel: channel.name)
def test_every_parameter_of_an_address_is_described(channel: Any) -> None:
    assert set(re.findall(r"{(\w+)}", channel.address or "")) == channel.parameters.keys()


# --- it says what an agent declares ---


LAYOUT = Layout(Names(host="h1"), Rpc())


def on_h1(name: str) -> str:
    return name.format(host="h1", id=LAYOUT.names.fanout_queue.rpartition("_")[2])


def test_exchanges_are_those_that_an_agent_declares() -> None:
    declared = {Exchange(one.name, one.type, one.durable, one.auto_delete) for one in LAYOUT.exchanges()}
    told = {channel.exchange for channel in channels() if channel.exchange}
    # Answers go there only when the request says so: it is told in words.
    assert declared - told == {Exchange(NAMES.replies, "direct")}
    assert told <= declared


def test_queues_are_those_that_an_agent_declares_and_bound_as_it_binds_them() -> None:
    told = {
        on_h1(channel.queue.name): channel for channel in channels() if channel.queue and channel.name != "replies"
    }
    declared = {queue.name: queue for queue in LAYOUT.queues("3.13.7")}
    assert told.keys() == declared.keys()
    for name, channel in told.items():
        assert channel.queue is not None
        assert (channel.queue.durable, channel.queue.arguments) == (
            declared[name].durable,
            declared[name].arguments,
        )
        if channel.exchange is not None:
            assert channel.exchange.name == declared[name].bound_to
        if channel.exchange is not None and channel.exchange.type == "topic":
            assert on_h1(channel.address or "") == declared[name].key


# --- its examples ---


def test_every_message_has_an_example_and_every_error_code_has_one() -> None:
    assert [name for name in messages() if not examples_of(name)] == []
    assert {one["payload"]["error"]["code"] for one in examples_of("error")} == BY_CODE.keys()


@pytest.mark.parametrize(("message", "name"), EXAMPLES)
def test_an_example_is_valid_by_its_messages_schema(message: str, name: str) -> None:
    shown = example(message, name)
    assert problems(message, shown["payload"]) == []
    if "headers" in shown:
        assert header_problems(message, shown["headers"]) == []


@pytest.mark.parametrize("method", METHODS)
def test_a_request_in_an_example_is_one_that_an_agent_takes(method: str) -> None:
    for shown in examples_of(method):
        validate(METHODS[method], shown["payload"].get("args", {}))


def test_the_example_that_says_all_is_the_one_in_the_folder_of_examples() -> None:
    assert example("spawn", FULL) == full()


@pytest.mark.parametrize(
    ("message", "change"),
    [
        ("spawn", {"method": "destroy"}),
        ("spawn", {"version": "2.0"}),
        ("spawn", {"args": {}}),
        ("stop", {"argument": 1}),
        ("spawn.result", {"result": {"operation_id": 7}}),
        ("error", {"error": None}),
        ("power_state", {"type": "compute.instance.power"}),
        ("method_end", {"type": "compute.instance.spawn.start"}),
        ("method_start", {"sequence": "7"}),
        ("method_start", {"data": {}}),
    ],
)
def test_what_isnt_such_a_message_is_not_valid(message: str, change: dict[str, Any]) -> None:
    shown = examples_of(message)[0]["payload"]
    assert problems(message, shown) == []
    assert problems(message, {**shown, **change}) != []


def test_a_parked_message_without_its_reason_is_not_valid() -> None:
    headers = examples_of("parked")[0]["headers"]
    assert header_problems("parked", headers) == []
    assert header_problems("parked", {name: headers[name] for name in headers if name != Parked.CODE}) != []


# --- names ---


def test_an_event_is_found_by_its_type_as_it_is_sent() -> None:
    for method in METHODS_WITH_EVENTS:
        for word in ("start", "end", "error"):
            found = named(f"compute.instance.{method}.{word}")
            assert found is not None
            assert found.name == f"method_{word}"
    assert named("compute.instance.power_state") is messages()["power_state"]
    assert named("compute.instance.nothing") is None
