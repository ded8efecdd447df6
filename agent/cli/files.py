"""Spec files: YAML or JSON to plain data.

YAML as its version 1.2 reads plain words: PyYAML's 1.1 would turn the MAC address 52:54:00:12:34:56 into a
number and `no` into false. A key given twice is refused, where PyYAML would take the last one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Hashable
from typing import Any

import click
import yaml

from agent.cli.values import Tree, read_text

_CORE = (
    ("tag:yaml.org,2002:null", r"^(?:~|null|Null|NULL|)$", "~nN\0"),
    ("tag:yaml.org,2002:bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("tag:yaml.org,2002:int", r"^[-+]?(?:0|[1-9][0-9]*)$", "-+0123456789"),
    ("tag:yaml.org,2002:float", r"^[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?$", "-+0123456789."),
)


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - the parent's form

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for place, (key, (where, _)) in enumerate(zip(keys, node.value, strict=True)):
            if keys.index(key) < place:
                raise yaml.constructor.ConstructorError(None, None, f"{key!r} is given twice", where.start_mark)
        return super().construct_mapping(node, deep)


for _tag, _pattern, _first in _CORE:
    _Loader.add_implicit_resolver(_tag, re.compile(_pattern), ["" if c == "\0" else c for c in _first])


def load(name: str) -> Tree:
    """The object in a file; `-` is standard input. Raises click.UsageError, with the line."""
    text = read_text(name)
    try:
        data = json.loads(text) if name.endswith(".json") else yaml.load(text, _Loader)  # noqa: S506 - is a SafeLoader
    except json.JSONDecodeError as error:
        raise click.UsageError(f"{name}:{error.lineno}: {error.msg}") from None
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise click.UsageError(f"{name}{line}: {error.problem}") from None
    except yaml.YAMLError as error:
        raise click.UsageError(f"{name}: {error}") from None
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise click.UsageError(f"{name}: an object with the arguments is expected")
    return data
