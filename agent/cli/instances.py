"""`agent-cli list` and `agent-cli show`."""

from __future__ import annotations

import click

from agent.cli.app import Session, common
from agent.cli.lookup import ask, find
from agent.cli.ports import Client
from agent.rpc.schema.params import GetInstance, ListInstances
from agent.rpc.schema.results import GotInstance, InstanceList, InstanceView


@click.command("list", short_help="List the instances of a host.")
@click.option("--power-state", metavar="STATE", help="Only those in this state: running, paused, shutdown, ...")
@click.option("--name", metavar="NAME", help="Only the one with this name.")
@click.option("--project-id", metavar="ID", help="Only those of this project.")
@common()
def list_(session: Session, power_state: str | None, name: str | None, project_id: str | None) -> None:
    """List the instances of a host."""
    args = ListInstances(power_state=power_state, name=name, project_id=project_id)
    listed = session.run(lambda client: ask(client, session, "list_instances", args, InstanceList))
    columns = ("uuid", "name", "power state", "vcpus", "memory MiB", "generation", "under way")
    rows = [
        (i.uuid, i.name, state(i), i.vcpus, i.memory_mb, i.generation, len(i.under_way) or "")
        for i in listed.instances
    ]
    session.out.table(listed.model_dump(mode="json"), columns, rows)


@click.command("show", short_help="Show one instance.")
@click.argument("instance")
@common()
def show(session: Session, instance: str) -> None:
    """Show one instance, by its uuid or its name."""
    got = session.run(lambda client: get(client, session, instance))
    session.out.data(got.model_dump(mode="json", exclude_none=not session.out.as_json))


async def get(client: Client, session: Session, instance: str) -> GotInstance:
    uuid = await find(client, session, instance)
    return await ask(client, session, "get_instance", GetInstance(instance_uuid=uuid), GotInstance)


def state(instance: InstanceView) -> str:
    """What is known of it: for an unknown state also the last one seen."""
    if instance.last_known is None:
        return instance.power_state
    return f"{instance.power_state} (was {instance.last_known})"
