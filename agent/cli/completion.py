"""`agent-cli completion SHELL`: prints the script that makes a shell complete commands and options.

source <(agent-cli completion bash)
"""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command("completion", short_help="Print the completion script of a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell: source <(agent-cli completion bash)."""
    root = ctx.find_root()
    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 - the choices are click's own
    click.echo(kind(root.command, {}, "agent-cli", "_AGENT_CLI_COMPLETE").source())
