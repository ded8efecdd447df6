"""From what the command line says to the arguments of a request.

    file  <  options  <  --set        each stands above the one before

What comes from the command line may name secrets only by reference (`values.Secrets`); a file may hold them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import click

from agent.cli import files, options, shortcuts
from agent.cli.values import Secrets, Tree, assignment_of, merged, put, shape_at
from agent.rpc.schema import Method
from agent.rpc.schema.base import Message
from agent.rpc.shape import shape_of
from agent.rpc.validation import validate


@dataclass(frozen=True, slots=True)
class Draft:
    """Arguments not yet checked. `chosen_uuid` is set when a new instance was given a uuid here."""

    method: Method
    args: Tree = field(repr=False)  # may hold secrets
    chosen_uuid: UUID | None = None

    @property
    def instance(self) -> str | None:
        """The instance meant, by a name that has yet to be looked up; None when it is a uuid or absent."""
        named = self.args.get("instance_uuid")
        return named if isinstance(named, str) and not _is_uuid(named) else None

    def on(self, instance_uuid: UUID) -> Draft:
        return Draft(self.method, {**self.args, "instance_uuid": str(instance_uuid)}, self.chosen_uuid)

    def checked(self) -> Message:
        """Raises InvalidRequest, as the agent would."""
        return validate(self.method, self.args)


def parameters(method: Method) -> list[click.Parameter]:
    """All a command for this method takes of its own."""
    return [
        *options.options_of(method.params),
        *(shortcut.click_option() for shortcut in shortcuts.SHORTCUTS.get(method.name, ())),
        click.Option(
            ["-f", "--file", "spec_file"], metavar="FILE", help="Arguments in YAML or JSON; - is standard input."
        ),
        click.Option(
            ["--set", "assignments"],
            multiple=True,
            metavar="PATH=VALUE",
            help="Set anything, such as interfaces.0.mtu=1400. Stands above the file and the other options.",
        ),
    ]


def draft(method: Method, values: Mapping[str, Any], secrets: Secrets) -> Draft:
    """Raises click.UsageError."""
    shape = shape_of(method.params)
    args = _from_file(method, values["spec_file"]) if values.get("spec_file") else {}
    args = merged(args, secrets.resolve(_from_options(method, values), shape))
    for assignment in values.get("assignments", ()):
        path, value = assignment_of(assignment)
        path = _full_path(method, path)
        value = secrets.resolve(value, shape_at(shape, args, path), path)
        put(args, path, value)
    return _with_uuid(Draft(method, args))


def _from_options(method: Method, values: Mapping[str, Any]) -> Tree:
    """Short options go before the generic ones in a list, and beside them in an object."""
    short = shortcuts.collected(method.name, values)
    long = options.given(method.params, values)
    both = merged(short, long)
    if "instance" in method.params.model_fields:
        for name in ("disks", "interfaces"):
            parts = [tree.get("instance", {}).get(name, []) for tree in (short, long)]
            if any(parts):
                both["instance"][name] = [*parts[0], *parts[1]]
    return both


def _from_file(method: Method, name: str) -> Tree:
    """The arguments; for a spawn also the instance alone, as the arguments are little else."""
    tree = files.load(name)
    if "instance" in tree or "instance" not in method.params.model_fields:
        return tree
    own = {key: value for key, value in tree.items() if key in method.params.model_fields}
    return {**own, "instance": {key: value for key, value in tree.items() if key not in own}}


def _full_path(method: Method, path: str) -> str:
    """`vcpus` is `instance.vcpus` where there is an instance."""
    fields = method.params.model_fields
    return path if path.split(".")[0] in fields or "instance" not in fields else f"instance.{path}"


def _with_uuid(draft: Draft) -> Draft:
    instance = draft.args.get("instance")
    if "instance" not in draft.method.params.model_fields or not isinstance(instance, dict) or "uuid" in instance:
        return draft
    uuid = uuid4()
    return Draft(draft.method, {**draft.args, "instance": {"uuid": str(uuid), **instance}}, uuid)


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
