"""Which characters a spec's texts may hold.

Most of a spec's text ends up in the domain's XML, in host paths and in QEMU's arguments: none of these is a
place for control characters. What only the guest reads (config drive, metadata) travels as JSON, where all
but a lone surrogate, which no encoding can write, is fine.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

from pydantic import BaseModel

from agent.hypervisor.limits.problem import Problem
from agent.secret import Secret
from agent.spec import InstanceSpec

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ufffe\uffff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_AS_SENT = {"connection": "connection_info", "target": "data"}
"""Fields that a caller knows by another name than ours."""
_JSON_ONLY = ("instance.config_drive", "instance.metadata")


def text_problems(spec: InstanceSpec) -> Iterator[Problem]:
    for path, text in texts(spec, "instance"):
        if _SURROGATE.search(text):
            yield Problem(path, "has a lone surrogate, which isn't text", "send valid UTF-8")
        elif _CONTROL.search(text) and not path.startswith(_JSON_ONLY):
            yield Problem(path, "has a control character", "leave it out")


def texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Every text in `value` with the path to it; secrets are opened, but only their path is ever told."""
    match value:
        case Secret():
            yield path, value.reveal()
        case str() | PurePath():
            yield path, str(value)
        case BaseModel():
            for name in type(value).model_fields:
                yield from texts(getattr(value, name), f"{path}.{_AS_SENT.get(name, name)}")
        case tuple():
            for place, item in enumerate(value):
                yield from texts(item, f"{path}[{place}]")
        case dict():
            for key, item in value.items():
                yield path, key
                yield from texts(item, f"{path}.{_SURROGATE.sub('?', key)}")
