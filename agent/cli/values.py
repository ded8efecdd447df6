"""Texts from the command line to values of a request. Pure, but for `Secrets`, which reads what it is told to.

    key=value[,key=value...]      --disk kind=blank,size_mb=100,image.format=raw
    {...} or [...]                JSON, wherever an object or a list may stand
    path=value                    --set instance.interfaces.0.mtu=1400

A value stays text, as the schema knows best what becomes of it; JSON is what begins with { [ or ", and null.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import click

from agent.rpc.shape import PLAIN, Shape, child, variants_for
from agent.secret import Secret

Tree = dict[str, Any]
_JSON_STARTS = ("{", "[", '"')


def scalar(text: str) -> Any:
    """Raises click.UsageError for what begins like JSON and isn't."""
    if text != "null" and not text.startswith(_JSON_STARTS):
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise click.UsageError(f"not JSON: {error}; it begins with {text[:1]!r}, so JSON is expected") from None


def object_of(text: str) -> Tree:
    """JSON, or `key=value` pairs with dotted keys. Raises click.UsageError."""
    if text.startswith(_JSON_STARTS):
        value = scalar(text)
        if not isinstance(value, dict):
            raise click.UsageError("an object is expected: {...} or key=value,key=value")
        return value
    tree: Tree = {}
    for pair in text.split(","):
        key, value = pair_of(pair)
        put(tree, key, value)
    return tree


def assignment_of(text: str) -> tuple[str, Any]:
    """What `--set` was given. Raises click.UsageError that names it."""
    try:
        return pair_of(text)
    except click.UsageError as error:
        raise click.UsageError(f"--set: {error.message}") from None


def pair_of(text: str) -> tuple[str, Any]:
    """`key=value`. The text isn't repeated in the error: it may hold a secret."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise click.UsageError("key=value is expected; a value with commas is written as JSON")
    return key.strip(), scalar(value)


def put(tree: Tree, path: str, value: Any) -> None:
    """Set what is at the dotted path, making what is missing on the way. A number is a place in a list; the
    place after the last one adds. Raises click.UsageError."""
    steps = path.split(".")
    here: Any = tree
    for step, after in pairwise(steps):
        here = _enter(here, step, path, [] if after.isdecimal() else {})
    _assign(here, steps[-1], path, value)


def merged(below: Tree, above: Mapping[str, Any]) -> Tree:
    """`above` has the last word: objects are merged key by key, all else is replaced."""
    result = dict(below)
    for key, value in above.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, dict) and isinstance(value, Mapping) else value
    return result


def _enter(here: Any, step: str, path: str, empty: Any) -> Any:
    if isinstance(here, list):
        place = _place(here, step, path)
        if place == len(here):
            here.append(empty)
        return here[place]
    if not isinstance(here, dict):
        raise click.UsageError(f"{path}: there is nothing inside {step!r}'s parent")
    if here.get(step) is None:
        here[step] = empty
    return here[step]


def _assign(here: Any, step: str, path: str, value: Any) -> None:
    if isinstance(here, list):
        place = _place(here, step, path)
        here[place : place + 1] = [value]
    elif isinstance(here, dict):
        here[step] = value
    else:
        raise click.UsageError(f"{path}: {step!r} would lie inside a plain value")


def _place(here: list[Any], step: str, path: str) -> int:
    if not step.isdecimal() or int(step) > len(here):
        raise click.UsageError(f"{path}: {step!r} isn't a place in a list of {len(here)}; take 0 to {len(here)}")
    return int(step)


class Secrets:
    """Where secrets come from, as no secret belongs on a command line: every user of a machine can read those.

    `-` asks on the terminal, `@FILE` reads a file (without its last line end), `env:NAME` a variable.
    """

    def __init__(self, ask: Callable[[str], str] | None = None, environ: Mapping[str, str] | None = None) -> None:
        self._ask = ask or _ask
        self._environ = os.environ if environ is None else environ

    def resolve(self, value: Any, shape: Shape, path: str = "") -> Any:
        """`value`, as given on the command line, with the secrets in it fetched. Raises click.UsageError when
        one stands there itself."""
        if isinstance(value, Secret):
            return value.reveal()
        if shape.secret:
            return self._fetch(value, path) if isinstance(value, str) else value
        if isinstance(value, dict):
            return {
                key: self.resolve(item, inside(shape, value, key), _join(path, key)) for key, item in value.items()
            }
        if isinstance(value, list):
            return [
                self.resolve(item, inside(shape, value, str(i)), _join(path, str(i)))
                for i, item in enumerate(value)
            ]
        return value

    def _fetch(self, text: str, path: str) -> str:
        if text == "-":
            return self._ask(path.rpartition(".")[2].replace("_", " "))
        if text.startswith("@"):
            return read_text(text[1:]).removesuffix("\n")
        if text.startswith("env:"):
            return self._variable(text[4:], path)
        raise click.UsageError(
            f"{path}: a secret on the command line can be read by every user of this machine; "
            "give - to be asked, @FILE or env:NAME"
        )

    def _variable(self, name: str, path: str) -> str:
        if name not in self._environ:
            raise click.UsageError(f"{path}: there is no environment variable {name}")
        return self._environ[name]


def inside(shape: Shape, document: Any, step: str) -> Shape:
    """The shape one step further in. Of several that it may be, one of which something is known."""
    kinds = variants_for(shape, document if isinstance(document, dict) else {})
    inner = [child(kind, int(step) if step.isdecimal() else step) for kind in kinds]
    return next((one for one in inner if one != PLAIN), inner[0])


def shape_at(shape: Shape, document: Any, path: str) -> Shape:
    """The shape at a dotted path in `document`, which may end before the path does."""
    for step in path.split("."):
        shape = inside(shape, document, step)
        if isinstance(document, dict):
            document = document.get(step)
        elif isinstance(document, list) and step.isdecimal() and int(step) < len(document):
            document = document[int(step)]
        else:
            document = None
    return shape


def read_text(name: str) -> str:
    """A file, or standard input for `-`. Raises click.UsageError."""
    try:
        return sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except OSError as error:
        raise click.UsageError(f"{name}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise click.UsageError(f"{name}: isn't UTF-8 text") from None


def _ask(what: str) -> str:
    answer: str = click.prompt(what, hide_input=True, err=True)
    return answer


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
