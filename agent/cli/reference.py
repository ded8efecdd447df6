"""docs/reference/cli.md, made from the commands themselves:

python -m agent.cli.reference > docs/reference/cli.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from agent.cli import exit_codes
from agent.cli.root import cli
from agent.errors import BY_CODE

_HEAD = """\
# The command line

This page is made from the commands by `python -m agent.cli.reference`.

`agent-cli` speaks to agents over their broker. Where that is, and what its exchange and queues are called, it
reads from the agent's own [settings](settings.md). `doctor` looks at the host it runs on, too; `schema` needs
neither. Results go to standard output, all else to standard error; with `--json` standard output has JSON and
nothing else: one document, or one a line for `watch` and `console`. An error is JSON there too, in the form of an
answer:
`{"error": {"code": ..., "message": ..., ...}}`.

A file given with `--file` holds the arguments of the method in YAML or JSON; for `spawn` the instance alone will
do. Options stand above the file, `--set` above both. Lists that an option gives replace those of the file, objects
are merged. YAML is read as version 1.2 has it: `no` and `52:54:00:12:34:56` are texts.

A secret is never given on the command line, where every user of the machine could read it: `-` asks for it on the
terminal, `@FILE` reads a file, `env:NAME` an environment variable. This holds for every secret field, wherever it
is set. In a file secrets may stand as they are.
"""

_COMPLETION = """\
## Completion

    source <(agent-cli completion bash)

completes commands, methods and options; `zsh` and `fish` likewise.
"""


def reference() -> str:
    """The whole page, in Markdown."""
    with click.Context(cli, info_name="agent-cli") as ctx:
        commands = "".join(f"\n{section}" for section in _sections(ctx, cli))
    return f"{_HEAD}\n{_COMPLETION}\n{_exit_codes()}\n{_common()}{commands}"


def _sections(ctx: click.Context, group: click.Group) -> Iterator[str]:
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        if command is None:
            continue
        with click.Context(command, info_name=name, parent=ctx) as inner:
            yield _section(inner, command)
            if isinstance(command, click.Group):
                yield from _sections(inner, command)


def _section(ctx: click.Context, command: click.Command) -> str:
    words = [ctx.command_path, *(_metavar(p) for p in command.params if isinstance(p, click.Argument))]
    depth = "##" if ctx.command_path.count(" ") == 1 else "###"
    text = f"{depth} `{' '.join(words)}`\n\n{(command.help or '').strip()}\n"
    own = [p for p in command.params if isinstance(p, click.Option) and not _is_common(p)]
    lines = "".join(_line(option) for option in own)
    return f"{text}\n{lines}" if lines else text


def _line(option: click.Option) -> str:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    value = "" if option.is_flag or option.count else f" `{_metavar(option)}`"
    default = f" Default: {option.default}." if option.show_default else ""
    help_ = (option.help or "").strip()
    return f"- {names}{value}{': ' if help_ or default else ''}{help_}{default}\n"


def _metavar(parameter: click.Parameter) -> str:
    if parameter.metavar:
        return parameter.metavar
    if isinstance(parameter.type, click.Choice):
        return "|".join(map(str, parameter.type.choices))
    if isinstance(parameter, click.Argument):
        return (parameter.name or "").upper()
    # `integer range` is click's name for a whole number with bounds.
    return parameter.type.name.upper().removesuffix(" RANGE")


def _is_common(option: click.Option) -> bool:
    return (option.name or "").startswith("common_")


def _common() -> str:
    with click.Context(cli) as ctx:
        group = cli.get_command(ctx, "list")
        options = (
            [] if group is None else [p for p in group.params if isinstance(p, click.Option) and _is_common(p)]
        )
    lines = "".join(map(_line, options))
    return f"## Options of all commands\n\nThose that make no sense for a command it doesn't have.\n\n{lines}"


def _exit_codes() -> str:
    rows = dict(exit_codes.MEANINGS)
    for code, number in exit_codes.BY_CODE.items():
        doc = (BY_CODE[code].__doc__ or "").strip().split("\n")[0]
        rows[number] = f"`{code}`: {doc}"
    lines = "".join(f"| {number} | {rows[number]} |\n" for number in sorted(rows))
    return f"## Exit codes\n\n| code | meaning |\n|---|---|\n{lines}"


if __name__ == "__main__":
    sys.stdout.write(reference())
