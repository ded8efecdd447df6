"""Any bytes whatever make a request, or an error of the contract that names a field. Nothing else comes out."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import AgentError
from agent.rpc.desk import Call
from tests.fuzz.mutations import corpus, documents, spoiled, wild_documents
from tests.fuzz.way_in import GOOD, outcome, take

REQUESTS = corpus("requests")
DOCUMENTS = documents("requests")


@pytest.mark.parametrize("name", [name for name in REQUESTS if not name.startswith("found")])
def test_the_corpus_is_of_requests_that_are_taken(name: str) -> None:
    assert isinstance(take(GOOD, REQUESTS[name]), Call)


@pytest.mark.parametrize("name", [name for name in REQUESTS if name.startswith("found")])
def test_what_once_broke_something_is_refused(name: str) -> None:
    assert isinstance(outcome(GOOD, REQUESTS[name]), AgentError)


@given(spoiled(list(REQUESTS.values())))
def test_spoiled_bytes_are_taken_or_refused(body: bytes) -> None:
    outcome(GOOD, body)


@given(wild_documents(DOCUMENTS))
def test_a_spoiled_document_is_taken_or_refused(document: dict[str, Any]) -> None:
    outcome(GOOD, json.dumps(document).encode())


MANY: dict[str, Any] = {
    "addresses": {"interfaces": [{"type": "user", "fixed_ips": [{"address": "192.0.2.5/24"}] * 4_500}]},
    "routes": {
        "interfaces": [
            {
                "type": "user",
                "fixed_ips": [
                    {"address": "::1/64", "routes": [{"destination": "::/0", "gateway": "::1"}] * 3_000}
                ],
            }
        ]
    },
    "name servers": {
        "interfaces": [
            {
                "type": "user",
                "fixed_ips": [{"address": "192.0.2.5/24"}] * 2_000,
                "dns_servers": [f"192.0.{n % 256}.{n // 256}" for n in range(4_000)],
            }
        ]
    },
    "files": {"config_drive": {"files": [{"path": "/a", "content": "AAAA"}] * 3_000}},
    "disks": {"disks": [{"kind": "blank", "size_mb": 0, **{f"k{n}": 1 for n in range(150)}}] * 60},
    "notes": {"metadata": {f"k{n}": "v" for n in range(9_900)}},
    "keys": {f"k{n}": 1 for n in range(9_900)},
    "more of anything than is looked at": {f"k{n}": 1 for n in range(50_000)},
}


@pytest.mark.parametrize("args", MANY.values(), ids=MANY.keys())
def test_a_message_full_of_one_thing_takes_no_more_than_its_size_is_worth(args: dict[str, Any]) -> None:
    base = {"uuid": "7b1f1b0e-28a7-4a0b-9a50-2a7d3c3f0a11", "name": "vm", "vcpus": 1, "memory_mb": 64}
    body = json.dumps({"method": "spawn", "args": {"instance": {**base, **args}}}).encode()
    tracemalloc.start()
    try:
        outcome(GOOD, body)
        assert tracemalloc.get_traced_memory()[1] < 200 * len(body)
    finally:
        tracemalloc.stop()


PIECES = (
    *("?", "&", "=", "://", "@", "a", "/", "_", "-", " ", "\\", '"', "'", ":", "A", "%", "\n", ".", "[", "0"),
    *("token", "password", "passw", "pass", "user_", "secret_key", "input_value=", ", input_type="),
)
FRAGMENTS = st.lists(st.sampled_from(PIECES), min_size=1, max_size=5).map("".join)


@given(FRAGMENTS, st.sampled_from(["method", "k", "url", "hostname"]))
def test_a_text_without_end_is_gone_through_in_no_time(fragment: str, key: str) -> None:
    """Some patterns take hours for what they take a moment for when it is short."""
    text = fragment * (100_000 // len(fragment))
    image = {"kind": "image", "image": {"url": text}, "id": text}
    args = {"instance": {key: text, "disks": [image], "config_drive": {"hostname": text}}, text: text}
    outcome(GOOD, json.dumps({"method": "spawn", "args": args, key: text}).encode())
