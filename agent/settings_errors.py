"""What is wrong with the settings, said so that it can be mended: where it stands, what is wrong, what is right.

`read()` is how the daemon and the command line load settings. It finds what pydantic doesn't tell by itself:
which file or variable a value came from, the name that a misspelt one is nearest to, and environment
variables with our prefix that set nothing at all.

Values are shown for plain settings only. Not for secrets, and not for unknown names: one of these may be a
misspelt secret.
"""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsError as UnreadableSource

from agent.redaction import Redactor
from agent.settings import Settings, load, toml_files
from agent.settings_fields import ENV_PREFIX, OTHER_ENV, Setting, groups, setting, settings

_CLOSE = 0.6
_LONGEST_VALUE = 60


@dataclass(frozen=True, slots=True)
class Problem:
    """`where`: a file (with line, when it is one), a variable or a credential; `what`: the setting, if known."""

    where: str
    what: str
    wrong: str
    mend: str = ""

    def __str__(self) -> str:
        head = ": ".join(part for part in (self.where, self.what) if part)
        return f"{head}: {self.wrong}" + (f"; {self.mend}" if self.mend else "")


class SettingsError(Exception):
    """The settings can't be used; the text has a line for each problem."""

    def __init__(self, problems: tuple[Problem, ...]):
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


def read(**overrides: Any) -> Settings:
    """The settings of this process. Raises SettingsError with all that is wrong, not only the first."""
    files, broken = _parsed(_named_files())
    if broken:
        raise SettingsError(broken)
    strangers = tuple(_unknown_variables(os.environ)) + tuple(_not_json(os.environ))
    try:
        loaded = load(**overrides)
    except ValidationError as error:
        raise SettingsError(_unique(strangers + explain(error, files))) from None
    except UnreadableSource as error:
        raise SettingsError(strangers or (Problem("", "", str(error)),)) from None
    if strangers:
        raise SettingsError(strangers)
    return loaded


def explain(error: ValidationError, files: Mapping[Path, dict[str, Any]] | None = None) -> tuple[Problem, ...]:
    """What pydantic found, with the place each value came from."""
    known = _parsed(toml_files())[0] if files is None else files
    return tuple(_problem(details, known) for details in error.errors(include_url=False, include_context=False))


def _problem(details: ErrorDetails, files: Mapping[Path, dict[str, Any]]) -> Problem:
    path = tuple(str(part) for part in details["loc"])
    where = _origin(path, files)
    if details["type"] == "extra_forbidden":
        return Problem(where, ".".join(path), "no such setting", _did_you_mean(path))
    if details["type"] in ("model_type", "model_attributes_type"):
        return Problem(
            where, ".".join(path), "must be a table", f"write [{'.'.join(path)}] and its settings below"
        )
    found = setting(path[:2]) or setting(path[:1])
    return Problem(where, ".".join(path), _wrong(details, found), _mend(found))


def _wrong(details: ErrorDetails, found: Setting | None) -> str:
    text = details["msg"].replace("Input should be", "must be").replace("Value error, ", "")
    value = details["input"]
    if found is None or found.secret or not isinstance(value, (str, int, float)):
        return text[:1].lower() + text[1:]
    shown = Redactor().text(repr(value))
    if len(shown) > _LONGEST_VALUE:
        shown = shown[:_LONGEST_VALUE] + "..."
    return f"{text[:1].lower()}{text[1:]}, and is {shown}"


def _mend(found: Setting | None) -> str:
    if found is None:
        return ""
    default = "" if found.secret or found.default is None else f" (default {found.default})"
    return f"{found.name} is: {found.doc.splitlines()[0]}{default}" if found.doc else default.strip(" ()")


def _origin(path: tuple[str, ...], files: Mapping[Path, dict[str, Any]]) -> str:
    """Highest source first, as pydantic-settings merges them."""
    variables = {name.upper(): name for name in os.environ}
    names = [path[:length] for length in range(len(path), 0, -1)]
    for part in names:
        if (variable := ENV_PREFIX + "__".join(part).upper()) in variables:
            return variables[variable]
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    for part in names:
        if credentials and (Path(credentials) / "__".join(part)).is_file():
            return f"credential {'__'.join(part)}"
    return next((str(file) for file in reversed(list(files)) if _holds(files[file], path)), "")


def _holds(table: Any, path: tuple[str, ...]) -> bool:
    for part in path:
        if not isinstance(table, dict):
            return True  # what lies deeper than tables, such as an item of a list
        if part not in table:
            return False
        table = table[part]
    return True


def _did_you_mean(path: tuple[str, ...]) -> str:
    table, name = path[:-1], path[-1]
    beside = {known.path[-1]: known.name for known in settings() if known.path[:-1] == table}
    tables = {group.name: f"[{group.name}]" for group in groups() if group.name} if not table else {}
    anywhere = {known.path[-1]: known.name for known in settings()}
    for names in (beside | tables, anywhere):
        if near := difflib.get_close_matches(name, names, n=1, cutoff=_CLOSE):
            return f"did you mean {names[near[0]]}?"
    return f"there are: {', '.join(beside | tables) or ', '.join(group.name for group in groups() if group.name)}"


def _unknown_variables(environ: Mapping[str, str]) -> Iterator[Problem]:
    """pydantic-settings passes over a variable whose first part isn't a field, so a typo there would be silent."""
    tables = {ENV_PREFIX + group.name.upper() for group in groups() if group.name}
    known = {known.env for known in settings()} | set(OTHER_ENV) | tables
    for name in sorted(environ):
        if name.upper().startswith(ENV_PREFIX) and name.upper() not in known:
            near = difflib.get_close_matches(name.upper(), known - tables, n=1, cutoff=_CLOSE)
            mend = f"did you mean {near[0]}?" if near else "remove it, or see the reference of settings"
            yield Problem(name, "", "sets nothing", mend)


def _not_json(environ: Mapping[str, str]) -> Iterator[Problem]:
    """Tables and lists are JSON in the environment; pydantic-settings would name the table only."""
    lists = {known.env: known for known in settings() if isinstance(known.default, tuple)}
    tables = {ENV_PREFIX + group.name.upper(): group for group in groups() if group.name}
    for name, value in sorted(environ.items()):
        if (variable := name.upper()) not in lists.keys() | tables.keys():
            continue
        try:
            json.loads(value)
        except ValueError:
            mend = 'such as ["/srv/images"]' if variable in lists else f"or set {name}__..., one by one"
            yield Problem(name, "", "must be JSON", mend)


def _named_files() -> list[Path]:
    """Also the main file that the environment names and that isn't there: then `_parsed` says so."""
    files = toml_files()
    named = os.environ.get("COMPUTE_AGENT_CONFIG")
    return files if named is None or Path(named) in files else [Path(named), *files]


def _parsed(files: list[Path]) -> tuple[dict[Path, dict[str, Any]], tuple[Problem, ...]]:
    tables: dict[Path, dict[str, Any]] = {}
    broken: list[Problem] = []
    for file in files:
        try:
            tables[file] = tomllib.loads(file.read_text(encoding="utf-8"))
        except tomllib.TOMLDecodeError as error:
            line, wrong = _toml_line(error, file)
            broken.append(Problem(f"{file}:{line}", "", wrong, "mend the TOML"))
        except UnicodeDecodeError:
            broken.append(Problem(str(file), "", "isn't UTF-8 text"))
        except OSError as error:
            broken.append(Problem(str(file), "", f"can't be read: {error.strerror}"))
        except (ValueError, RecursionError):  # a number of thousands of digits, a thousand lists in each other
            broken.append(Problem(str(file), "", "can't be read: it holds more than any setting needs"))
    return tables, tuple(broken)


def _toml_line(error: tomllib.TOMLDecodeError, file: Path) -> tuple[int, str]:
    """tomllib tells the place inside its text: "... (at line 2, column 1)" or "... (at end of document)"."""
    wrong, _, place = str(error).rpartition(" (at ")
    if place.startswith("line "):
        return int(place.removeprefix("line ").partition(",")[0]), wrong[:1].lower() + wrong[1:]
    return file.read_text(encoding="utf-8").count("\n") + 1, wrong[:1].lower() + wrong[1:]


def _unique(problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
    """A stray variable inside a table is found twice: as a variable, and by pydantic as an unknown key."""
    told = {problem.where for problem in problems if problem.wrong == "sets nothing"}
    return tuple(p for p in problems if p.wrong != "no such setting" or p.where not in told)
