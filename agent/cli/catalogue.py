"""The commands by name: where each one is, and its line in the help.

A static table, so that `agent-cli --help` and completion of a command's name load neither click nor
pydantic nor the broker's library. A test holds it to the commands themselves. Nothing may be imported here.
"""

from __future__ import annotations

COMMANDS: dict[str, tuple[str, str]] = {
    "send": ("agent.cli.send:send", "Send a command or a query to an agent."),
    "plan": ("agent.cli.plan:plan", "Show what a command would do, without doing it."),
    "list": ("agent.cli.instances:list_", "List the instances of a host."),
    "show": ("agent.cli.instances:show", "Show one instance."),
    "watch": ("agent.cli.watch:watch", "Print events as they happen."),
    "console": ("agent.cli.console:console", "Follow an instance's console, or type into it."),
    "operations": ("agent.cli.operations:operations", "List operations, or show one with its steps and times."),
    "doctor": ("agent.cli.doctor:doctor", "Find out what is wrong with this host, and how to mend it."),
    "dead": ("agent.cli.dead:dead", "Look at parked messages, send them again or drop them."),
    "schema": ("agent.cli.schema:schema", "Print the contract as AsyncAPI, or a message's JSON schema."),
    "completion": ("agent.cli.completion:completion", "Print the completion script of a shell."),
}

_USAGE = """\
Usage: agent-cli COMMAND [ARGS]...

Speak to compute agents over their broker.

The broker's address and names come from the agent's settings: /etc/compute-agent/agent.toml or
COMPUTE_AGENT_AMQP__URL, COMPUTE_AGENT_RPC__EXCHANGE and so on; --url stands above them. Results are
written to standard output, all else to standard error.

Commands:
{commands}

Options:
  --version  Show the version and exit.
  --help     Show this message and exit. Each command has its own, too.

Exit codes: 0 done; 2 wrong usage; 65 invalid request; 68 nobody listens; 69 unavailable; 75 busy;
76 broker not reached; 78 wrong settings; the others are in the reference of the command line.
"""


def help_text() -> str:
    """What `agent-cli --help` prints."""
    width = max(map(len, COMMANDS))
    lines = (f"  {name:<{width}}  {line}" for name, (_, line) in COMMANDS.items())
    return _USAGE.format(commands="\n".join(lines))
