"""The settings' documentation, made from the models and their docstrings.

`default_config` is what `compute-agent --print-default-config` prints: a settings file in which every
setting stands commented out with its default. `reference` is docs/reference/settings.md:

    python -m agent.settings_doc > docs/reference/settings.md
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import SecretStr, StringConstraints

from agent.settings_fields import Group, Setting, groups

_WIDTH = 100
_KINDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    Path: "a path",
    SecretStr: "text, secret",
}
_BOUNDS = (
    (annotated_types.Ge, "ge", "at least {}"),
    (annotated_types.Gt, "gt", "more than {}"),
    (annotated_types.Le, "le", "at most {}"),
    (annotated_types.Lt, "lt", "less than {}"),
)

_HEAD = """\
Settings of compute-agent. Every setting is here with its default, commented out.

Files: /etc/compute-agent/agent.toml, then /etc/compute-agent/conf.d/*.toml in the order of their names;
a later one has the last word, setting by setting. Above them stand systemd credentials and environment
variables: [amqp] url is the credential amqp__url or the variable COMPUTE_AGENT_AMQP__URL.\
"""

_PAGE = """\
# Settings

This page is made from `agent/settings.py` by `python -m agent.settings_doc`;
`compute-agent --print-default-config` prints the same as a file to start from.

From the lowest source to the highest, merged setting by setting:

1. `/etc/compute-agent/agent.toml`; the environment variable `COMPUTE_AGENT_CONFIG` names another main file
2. `conf.d/*.toml` beside the main file, in the order of their names
3. systemd credentials (`LoadCredential=amqp__url:...`), files in `$CREDENTIALS_DIRECTORY`; tables and settings
   are joined by two underscores
4. environment variables: `COMPUTE_AGENT_` and the setting's name in capitals, tables and settings joined by two
   underscores; a list is written as JSON

An unknown setting, in a file or in the environment, is refused with the nearest right name. `agent-cli` reads the
same files and variables, for the broker's address and the names on it.
"""


def default_config() -> str:
    """A TOML file with every setting, its docstring and default, commented out."""
    parts = ["\n".join(f"# {line}".rstrip() for line in _HEAD.splitlines())]
    for group in groups():
        head = f"# {group.doc}\n[{group.name}]\n" if group.name else ""
        parts.append(head + "\n\n".join(_commented(known) for known in group.settings))
    return "\n\n\n".join(parts) + "\n"


def reference() -> str:
    """The reference page, in Markdown."""
    return _PAGE + "".join(f"\n{_section(group)}" for group in groups())


def _commented(known: Setting) -> str:
    words = f"{' '.join(known.doc.split())} ({kind(known)})"
    doc = textwrap.fill(words, _WIDTH, initial_indent="# ", subsequent_indent="# ", break_long_words=False)
    if (default := toml_default(known)) is None:
        return f'{doc}\n# {_unset(known)}.\n# {known.path[-1]} = ""'
    return f"{doc}\n# {known.path[-1]} = {default}"


def _section(group: Group) -> str:
    title = f"## [{group.name}]\n\n{group.doc}\n" if group.name else "## At the top of the file\n"
    return title + "".join(f"\n{_entry(known)}" for known in group.settings)


def _entry(known: Setting) -> str:
    default = toml_default(known)
    shown = _unset(known).lower() if default is None else f"`{default}`"
    return (
        f"### `{known.name}`\n\n{known.doc}\n\n"
        f"- Value: {kind(known)}\n- Default: {shown}\n- Environment: `{known.env}`\n"
    )


def _unset(known: Setting) -> str:
    return "Made on each host" if known.info.default_factory else "Not set"


def toml_default(known: Setting) -> str | None:
    """The default as TOML writes it; None when there is none, or when each host makes its own."""
    return None if known.default is None else _toml(known.default)


def _toml(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return str(value)
        case tuple() | list():
            return f"[{', '.join(_toml(item) for item in value)}]"
        case SecretStr():
            # The default is published anyhow; a value somebody has set never comes here.
            return _toml(value.get_secret_value())
        case _:
            return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def kind(known: Setting) -> str:
    """What may stand there, in words: `a whole number, at least 2, at most 60`."""
    return ", ".join((_kind(known.info.annotation), *_bounds(known.info.metadata)))


def _kind(annotation: Any) -> str:
    inner = [part for part in get_args(annotation) if part is not type(None) and part is not ...]
    if get_origin(annotation) is Literal:
        return " or ".join(f'"{choice}"' for choice in inner)
    if get_origin(annotation) is tuple:
        return f"a list, each item {_kind(inner[0])}"
    if get_origin(annotation) is Union or type(annotation).__name__ == "UnionType":
        return " or ".join(map(_kind, inner))
    return _KINDS[annotation]


def _bounds(metadata: list[Any]) -> Iterator[str]:
    for constraint in metadata:
        for type_, attribute, words in _BOUNDS:
            if isinstance(constraint, type_):
                yield words.format(getattr(constraint, attribute))
        if isinstance(constraint, StringConstraints):
            yield f"matching `{constraint.pattern}`"


if __name__ == "__main__":
    sys.stdout.write(reference())
