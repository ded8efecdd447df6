"""Every setting as one flat list, read from the models of `agent.settings`.

`settings_errors` looks up right names here, `settings_doc` writes the pages from it. So a new setting is
one field with a docstring, and nothing else has to be told.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from agent.docstrings import meaning
from agent.settings import Settings

ENV_PREFIX = "COMPUTE_AGENT_"
OTHER_ENV = ("COMPUTE_AGENT_CONFIG",)
"""Environment variables that are ours and aren't settings: where the settings file is."""


@dataclass(frozen=True, slots=True)
class Group:
    """A table of the settings file; the one without a name is the top of the file."""

    name: str
    doc: str
    settings: tuple[Setting, ...]


@dataclass(frozen=True, slots=True)
class Setting:
    model: type[BaseModel]
    path: tuple[str, ...]

    @property
    def info(self) -> FieldInfo:
        return self.model.model_fields[self.path[-1]]

    @property
    def name(self) -> str:
        return ".".join(self.path)

    @property
    def env(self) -> str:
        return ENV_PREFIX + "__".join(self.path).upper()

    @property
    def credential(self) -> str:
        """The name of the systemd credential that sets it."""
        return "__".join(self.path)

    @property
    def doc(self) -> str:
        return meaning(self.model, self.path[-1])

    @property
    def secret(self) -> bool:
        return SecretStr in (self.info.annotation, *get_args(self.info.annotation))

    @property
    def default(self) -> Any:
        """None also for a default that each host makes for itself."""
        return None if self.info.default_factory else self.info.default


def groups() -> tuple[Group, ...]:
    """The top first, then the tables in the order in which they are declared."""
    tables: list[tuple[str, Any]] = [
        (name, info.annotation) for name, info in Settings.model_fields.items() if _is_group(info)
    ]
    return (
        Group("", (Settings.__doc__ or "").strip(), tuple(_settings(Settings, ()))),
        *(Group(name, (model.__doc__ or "").strip(), tuple(_settings(model, (name,)))) for name, model in tables),
    )


def settings() -> tuple[Setting, ...]:
    return tuple(setting for group in groups() for setting in group.settings)


def setting(path: tuple[str, ...]) -> Setting | None:
    return next((known for known in settings() if known.path == path), None)


def _settings(model: type[BaseModel], above: tuple[str, ...]) -> Iterator[Setting]:
    for name, info in model.model_fields.items():
        if not _is_group(info):
            yield Setting(model, (*above, name))


def _is_group(info: FieldInfo) -> bool:
    return isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel)
