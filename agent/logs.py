"""Logging of the daemon: one set-up for structlog and for the standard library's loggers.

Called once by the composition root, before anything else runs. Every line passes here last:

    structlog.get_logger ---\\
                             >-- contextvars, level, time -- filter -- redaction -- JSON | console
    logging.getLogger ------/    (aio_pika, aiormq, asyncio, warnings)

`request_id`, `instance`, `method` and who asked ride in context variables, so that a line written far below,
also in a thread started with the context, says whose work it is.

JSON is one line for each record. Under systemd the line begins with the journal's priority mark (`<4>`),
which journald takes off again. Exceptions are written as plain tracebacks: structured or coloured ones show
local variables, and those hold secrets.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Literal, TextIO
from urllib.parse import unquote, urlsplit

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from agent.redaction import Redactor

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["auto", "json", "console"]

# At debug these write whole frames, with message bodies and what is in them.
_TALKATIVE = ("aio_pika", "aiormq", "pamqp", "aiohttp.access")
# What the libraries write at each failed attempt and each lost connection, some with a traceback. Our own lines
# say it once, and an outage isn't a thousand lines.
_TOLD_BY_US = {
    "aio_pika.tools": re.compile(r"^Callback <OneShotCallback: "),
    "aiormq.connection": re.compile(r"^(error when creating transport|Cancelling cause reader exited)"),
}
# Written by the processors themselves.
_OUR_OWN = frozenset({"time", "level", "logger"})
# Journal priorities as in sd-daemon(3).
_PRIORITY = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}


def configure(
    level: Level = "info",
    format: Format = "auto",
    *,
    stream: TextIO | None = None,
    known_secrets: Iterable[str] = (),
) -> None:
    """Set up logging; may be called again, the last call counts.

    `known_secrets`: clear texts (the broker's password) that are starred out wherever they appear.
    """
    out = stream or sys.stderr
    number = getattr(logging, level.upper())
    structlog.configure(
        processors=[*_shared(), structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.addFilter(_worth_writing)
    handler.setFormatter(_formatter(_chosen(format, out), out, Redactor(known_secrets)))
    root = logging.getLogger()
    for old in [old for old in root.handlers if isinstance(old.formatter, _Formatter)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(number)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(number, logging.INFO))
    logging.captureWarnings(True)


def bind(*, instance: object = None, **given: str | None) -> None:
    """Put what is given on every line written from now on in this task and those it starts: `request_id` and the
    others of a caller, `method`."""
    named = given | {"instance": None if instance is None else str(instance)}
    structlog.contextvars.bind_contextvars(**{k: v for k, v in named.items() if v is not None})


class _Formatter(structlog.stdlib.ProcessorFormatter):
    """Told apart by its class, so that `configure` replaces its own handler and no other."""


def _shared() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    ]


def _formatter(format: Literal["json", "console"], out: TextIO, redactor: Redactor) -> _Formatter:
    renderers = _json(_is_journal(out, os.environ)) if format == "json" else _console(out)
    return _Formatter(
        foreign_pre_chain=[*_shared(), structlog.stdlib.ExtraAdder(), _without_repeat],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.StackInfoRenderer(),
            structlog.processors.ExceptionRenderer(),
            _redaction(redactor),
            *renderers,
        ],
    )


def _without_repeat(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """Another handler's formatter leaves the text on the record a second time, as `message`."""
    event.pop("message", None)
    return event


def _redaction(redactor: Redactor) -> Processor:
    def hide(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
        return {key: value if key in _OUR_OWN else redactor.pair(key, value) for key, value in event.items()}

    return hide


def _json(journal: bool) -> list[Processor]:
    line = structlog.processors.JSONRenderer()
    return [_in_order, _marked(line)] if journal else [_in_order, line]


def _in_order(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """First what every line has, so that a person reading raw JSON finds it at one place."""
    first = ("time", "level", "event", "logger", "request_id", "instance", "method")
    return {key: event[key] for key in first if key in event} | dict(event)


def _marked(line: structlog.processors.JSONRenderer) -> Processor:
    def render(logger: WrappedLogger, name: str, event: EventDict) -> str:
        return f"<{_PRIORITY.get(event.get('level', 'info'), 6)}>{line(logger, name, event)!s}"

    return render


def _console(out: TextIO) -> list[Processor]:
    return [
        structlog.dev.ConsoleRenderer(
            colors=out.isatty(),
            timestamp_key="time",
            exception_formatter=structlog.dev.plain_traceback,
        )
    ]


def _chosen(format: Format, out: TextIO) -> Literal["json", "console"]:
    if format == "auto":
        return "console" if out.isatty() else "json"
    return format


def _is_journal(out: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether systemd has connected this stream to the journal: systemd.exec(5), $JOURNAL_STREAM."""
    try:
        stat = os.fstat(out.fileno())
    except (OSError, ValueError, AttributeError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{stat.st_dev}:{stat.st_ino}"


def _worth_writing(record: logging.LogRecord) -> bool:
    told = _TOLD_BY_US.get(record.name)
    return told is None or told.match(record.getMessage()) is None


def secrets_in(url: str) -> tuple[str, ...]:
    """The password of a URL as written and as decoded: what `known_secrets` wants to know."""
    try:
        password = urlsplit(url).password
    except ValueError:
        return ()
    return tuple({password, unquote(password)}) if password else ()
