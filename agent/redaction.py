"""The last line of defence against a secret in the log. Pure.

Called by `agent.logs` as the last processor before a line is written. The first line of defence is that
secrets are typed (`Secret`, `SecretStr`) and print as stars; this one is for what slips past types: a
dict of raw arguments, a URL with a password in it, the text of somebody else's exception.

It would rather hide too much than too little: what is lost here is a log line's detail.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, SecretBytes, SecretStr

from agent.secret import MASK, Secret
from agent.secret_words import ALONE, ANYWHERE, spelled

# `content` is that of a file for the guest; in a parked request the schema tells it from others.
_WORDS = rf"(?:{ALONE}|{ANYWHERE}|content)s?"
_NAME = re.compile(rf"(?:^|.*_){_WORDS}(?:_?(?:value|text|hash))?$", re.DOTALL)
# What follows meets texts of any length, a stranger's too: none goes through a text once for each of its
# characters. A run is taken whole or not at all (`++`) and judged by a function.
#
# The password of a URL: everything to the last @ before a blank or a double quote, as a password that wasn't
# percent-encoded may hold slashes and @ too.
_URL = re.compile(r"(://[^\s:/@\"]*+:)([^\s\"]++)")
# `"admin_pass": "..."`, `password='...'`, `token=...` inside a text.
_KEY = re.compile(r"(?<![A-Za-z_\-])([A-Za-z_\-]++)[\"']?\s*+[:=]\s*+")
_VALUE = re.compile(r"\"(?:[^\"\\]|\\.)*+\"|'(?:[^'\\]|\\.)*+'|(?!\*\*)[^\s,;)}\]&]++")
_ENDS_IN_WORD = re.compile(rf"{_WORDS}$", re.IGNORECASE)
_LONGEST_WORD = 64
# pydantic writes the offending value into its message.
_PYDANTIC = re.compile(r"input_value=.*?(?=, input_type=|\Z)", re.DOTALL)
_SCHEME = re.compile(r"^(?:basic|bearer)\s+\S+", re.IGNORECASE)
_SHORTEST_KNOWN = 4
_DEEPEST = 8
_LONGEST_REMEMBERED = 64
# What has none of these has no URL, no pair, no scheme and no message of pydantic's in it.
_SUSPECT = re.compile(r"[\s:=]")


def names_a_secret(name: str) -> bool:
    """Whether a value under this key is hidden whatever it is."""
    return _is_telling(name) if len(name) <= _LONGEST_REMEMBERED else _is_telling.__wrapped__(name)


@lru_cache(maxsize=512)
def _is_telling(name: str) -> bool:
    return _NAME.match(spelled(name)) is not None


class Redactor:
    """Hides secrets in values of any shape. `known`: clear texts that must never appear, such as the
    broker's password; those under four characters are left out, as they would eat innocent text."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        longest_first = sorted({text for text in known if len(text) >= _SHORTEST_KNOWN}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def value(self, value: Any, depth: int = 0) -> Any:
        """The same value with stars for secrets. Never raises; unknown objects become their text."""
        match value:
            case None | bool() | int() | float():
                return value
            case Secret() | SecretStr() | SecretBytes():
                return MASK
            case Mapping() | BaseModel() | list() | tuple() | set() | frozenset():
                return "..." if depth >= _DEEPEST else self._container(value, depth + 1)
            case _:
                return self.text(value if isinstance(value, str) else _shown(value))

    def _container(self, value: Any, depth: int) -> Any:
        if isinstance(value, BaseModel):
            value = dict(value)
        if isinstance(value, Mapping):
            return {key: self.pair(str(key), item, depth) for key, item in value.items()}
        return [self.value(item, depth) for item in value]

    def pair(self, key: str, value: Any, depth: int = 0) -> Any:
        if value is not None and names_a_secret(key):
            return MASK
        return self.value(value, depth)

    def text(self, text: str) -> str:
        if _SUSPECT.search(text):
            text = self._searched(text)
        return self._known.sub(MASK, text) if self._known else text

    @staticmethod
    def _searched(text: str) -> str:
        text = _URL.sub(_without_password, text)
        text = _PYDANTIC.sub(f"input_value={MASK}", text)
        text = _SCHEME.sub(MASK, text)
        return _without_values(text)


def _without_password(url: re.Match[str]) -> str:
    _, at, rest = url[2].rpartition("@")
    return f"{url[1]}{MASK}@{rest}" if at else url[0]


def _without_values(text: str) -> str:
    """With stars for what follows a telling key. What follows another may hold a telling one."""
    parts, done = [], 0
    for key in _KEY.finditer(text):
        if key.start() < done or not _ENDS_IN_WORD.search(key[1][-_LONGEST_WORD:]):
            continue
        if value := _VALUE.match(text, key.end()):
            parts += [text[done : value.start()], MASK]
            done = value.end()
    return "".join(parts) + text[done:]


def _shown(value: object) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - a log line must not fail because somebody's __str__ does
        return f"<{type(value).__name__}>"
