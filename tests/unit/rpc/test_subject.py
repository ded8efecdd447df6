"""Requests about one thing are told by their arguments: a new instance's too."""

from __future__ import annotations

from uuid import uuid4

from agent.rpc.schema.base import Message
from agent.rpc.schema.instance import BlankDisk, Instance
from agent.rpc.schema.params import AbandonOperation, Pause, Ping, RetryOperation, Spawn, Start
from agent.rpc.subject import instance_of, order_key

UUID, OTHER, OPERATION = uuid4(), uuid4(), uuid4()
DISKS = (BlankDisk(kind="blank", size_mb=1),)


def spawn() -> Spawn:
    return Spawn(instance=Instance(uuid=UUID, name="vm", vcpus=1, memory_mb=64, disks=DISKS))


def test_requests_on_one_instance_or_one_operation_keep_their_order_and_no_others() -> None:
    same: list[list[Message]] = [
        [spawn(), Start(instance_uuid=UUID), Pause(instance_uuid=UUID)],
        [Start(instance_uuid=OTHER)],
        [RetryOperation(operation_id=OPERATION), AbandonOperation(operation_id=OPERATION)],
        [RetryOperation(operation_id=uuid4())],
        [Ping()],
        [Ping()],
    ]
    keys = [{order_key(params) for params in group} for group in same]
    assert [len(group) for group in keys] == [1] * len(same)
    assert len(set.union(*keys)) == len(same)


def test_an_instance_is_known_by_its_uuid_wherever_it_is_named() -> None:
    assert instance_of(spawn()) == instance_of(Start(instance_uuid=UUID)) == UUID
    assert instance_of(RetryOperation(operation_id=OPERATION)) is None
