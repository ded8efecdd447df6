"""The reference page on health and metrics, made from the model and the table of series. Pure.

`scripts/docs` writes it; a test holds the file to what is made here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import UnionType
from typing import Any, get_args, get_origin

from agent.docstrings import meaning
from agent.health import CHECKS, SOCKET, Health, Shown
from agent.web.metrics import PREFIX, SERIES

_PAGE = f"""\
<!-- Made by scripts/docs from the code; change it there. -->

# Health and metrics

An agent answers on its host how it is: HTTP on the unix socket `{SOCKET}` in the state directory, for the
agent's user and root alone. `agent-cli doctor` reads it; so can anything that speaks HTTP:

```sh
curl --unix-socket /var/lib/compute-agent/{SOCKET} http://agent/readyz
```

| Page | Status | Holds |
|---|---|---|
| `GET /healthz` | 200; 503 when a problem is fatal: only a restart helps | `host`, `observed_at`, `problems` |
| `GET /readyz` | 200; 503 when a problem is fatal, or commands can't be taken or done | the same |
| `GET /health` | 200 | all that follows, as JSON |
| `GET /metrics` | 200 | the same numbers for Prometheus, and the process's own |

Times are UTC. No page holds a secret. A socket that can't be made is a warning in the log, and the agent goes on.
systemd gets the same problems as its status line.
"""


def reference() -> str:
    """docs/reference/health.md"""
    parts = [_PAGE, _problems(), "## Health", *(_model(model) for model in _models(Health)), _metrics()]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _problems() -> str:
    text = (
        "## Problems\n\nWorst first in the list. `code` stays the same over versions.\n\n"
        "| Severity | Means |\n|---|---|\n"
        "| `fatal` | only a restart helps: the agent isn't fed any more or stops, and systemd starts it |\n"
        "| `not_ready` | commands can't be taken or done; it passes by itself, or needs somebody elsewhere |\n"
        "| `warning` | all still works |\n\n| Code | Severity | When |\n|---|---|---|\n"
    )
    return text + "\n".join(_row(check.__doc__ or "") for check in CHECKS)


def _row(doc: str) -> str:
    """`code, severity: when`, as each check has it."""
    head, _, when = doc.partition(": ")
    code, _, severity = head.partition(", ")
    return f"| `{code}` | `{severity}` | {when} |"


def _models(model: type[Shown]) -> Iterator[type[Shown]]:
    """A model, then those in its fields, each once."""
    found: list[type[Shown]] = []

    def walk(one: type[Shown]) -> None:
        if one in found:
            return
        found.append(one)
        for info in one.model_fields.values():
            for inner in _inside(info.annotation):
                walk(inner)

    walk(model)
    return iter(found)


def _inside(annotation: Any) -> Iterable[type[Shown]]:
    if isinstance(annotation, type) and issubclass(annotation, Shown):
        return (annotation,)
    if get_origin(annotation) in (tuple, UnionType):
        return [model for part in get_args(annotation) for model in _inside(part)]
    return ()


def _model(model: type[Shown]) -> str:
    rows = (
        f"| `{name}`{_link(info.annotation)} | {_meaning(model, name)} |"
        for name, info in model.model_fields.items()
    )
    title = "" if model is Health else f"### {model.__name__}\n\n"
    return f"{title}{model.__doc__}\n\n| Field | |\n|---|---|\n" + "\n".join(rows)


def _meaning(model: type[Shown], name: str) -> str:
    models = [inner.__doc__ or "" for inner in _inside(model.model_fields[name].annotation)]
    return " ".join((meaning(model, name) or " ".join(models)).split())


def _link(annotation: Any) -> str:
    models = list(_inside(annotation))
    return "".join(f": [{model.__name__}](#{model.__name__.lower()})" for model in models)


def _metrics() -> str:
    head = "## Metrics\n\nGauges, but for those that end in `_total`. What isn't known yet is left out.\n\n"
    rows = (
        f"| `{PREFIX}{series.name}{'_total' if series.counts else ''}"
        f"{'{' + ', '.join(series.labels) + '}' if series.labels else ''}` | {series.help} |"
        for series in SERIES
    )
    return (
        head
        + "| Name | |\n|---|---|\n"
        + "\n".join(rows)
        + "\n\nAnd the process's own, as Prometheus' clients call them: "
        "`process_cpu_seconds_total`, `process_resident_memory_bytes`, `process_open_fds` and their kin.\n"
    )
