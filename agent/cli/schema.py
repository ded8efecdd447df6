"""`agent-cli schema`: the contract for programs, as an AsyncAPI document or as one message's JSON schema.

Needs no broker and no settings: it is made from what this version of the package knows.
"""

from __future__ import annotations

import json
from typing import Any

import click

from agent.cli.app import App
from agent.cli.output import Output

_JSON = "json"


@click.command("schema", short_help="Print the contract as AsyncAPI, or a message's JSON schema.")
@click.argument("message", required=False)
@click.option("--list", "listed", is_flag=True, help="Print the names of all messages instead.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["yaml", _JSON]),
    default="yaml",
    show_default=True,
    help="Of what is printed; a list in YAML is a table.",
)
@click.option("--json", "form", flag_value=_JSON, help="The same as --format json.")
@click.pass_context
def schema(ctx: click.Context, message: str | None, listed: bool, form: str) -> None:
    """Print the contract as an AsyncAPI 3 document: every method, event and error, with examples.

    With MESSAGE that one's JSON schema (draft 7) alone: `spawn` is the request, `spawn.result` its answer, `error`
    any answer that says why not, `power_state` or `compute.instance.power_state` an event. Needs no broker.
    """
    app = ctx.find_object(App) or App()
    app.as_json = form == _JSON
    if listed:
        _list(Output(app.as_json), message)
    else:
        click.echo(written(_schema(message) if message else _document(), form), nl=False)


def written(value: dict[str, Any], form: str) -> str:
    """As text, with its last line end. The same value is never written as a reference to another place."""
    if form == _JSON:
        return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    import yaml

    class Plain(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)

    Plain.add_representer(str, text)
    made: str = yaml.dump(value, Dumper=Plain, sort_keys=False, allow_unicode=True, width=115)
    return made


def _document() -> dict[str, Any]:
    from agent.rpc.schema.asyncapi import document

    return document()


def _schema(name: str) -> dict[str, Any]:
    """Raises click.UsageError for a message that isn't there."""
    from agent.rpc.schema.asyncapi import messages, named, schema_of
    from agent.rpc.validation import nearest

    # Methods are written with underscores, and typed with dashes as often.
    found = named(name.replace("-", "_"))
    if found is None:
        meant = nearest(name, messages())
        hint = f"did you mean {meant}?" if meant else "agent-cli schema --list has them all"
        raise click.UsageError(f"no message {name!r}: {hint}")
    return schema_of(found)


def _list(out: Output, message: str | None) -> None:
    from agent.rpc.schema.asyncapi import messages

    if message is not None:
        raise click.UsageError("--list goes without a MESSAGE")
    rows = [(one.name, one.kind, one.type or "", one.summary) for one in messages().values()]
    value = [{"name": name, "kind": kind, "type": type_, "summary": told} for name, kind, type_, told in rows]
    out.table(value, ("message", "kind", "type of event", "what it says"), rows)
