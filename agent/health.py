"""What an agent says of its own health: one model behind all pages of its socket, and what is wrong in it.

    checkup --collects--> Health --judged by CHECKS--> problems: none            healthy and ready
                                                                 warning         healthy and ready
                                                                 not ready       healthy; 503 on /readyz
                                                                 fatal           503 on /healthz too

Only a problem that a restart of the agent mends is fatal. Pure, and made of what the bare install has, so that the
command line reads the same model. Nothing secret gets in here: the broker's address has no user and no password.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

SOCKET = "agent.sock"
"""The socket's name in the state directory."""

HELD_UP_S = 30.0
"""Seconds that taking a message may last. It is a write to the journal, or a refusal that the broker confirms."""

UNSENT_S = 120.0
"""Seconds that an answer or event may wait. An answer whose queue is missing is tried for half as long."""

Severity = Literal["fatal", "not_ready", "warning"]


class Shown(BaseModel):
    """Fields may be added in later versions; who reads them ignores what he doesn't know."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Problem(Shown):
    """Something that isn't as it should be."""

    code: str
    """A word for programs; it stays the same over versions."""
    severity: Severity
    """`fatal`: only a restart helps. `not_ready`: commands can't be taken or done. `warning`: all still works."""
    text: str
    """For people."""
    since: datetime | None = None
    """Since when, if that is known."""

    @property
    def line(self) -> str:
        return self.text + (f" since {self.since:%Y-%m-%d %H:%M:%S %Z}" if self.since else "")


class Link(Shown):
    """One connection to the broker."""

    up: bool
    """Connected, and all that it needs was found or declared."""
    since: datetime
    """Since when it is up, or down."""
    blocked_since: datetime | None = None
    """Since when the broker reads nothing from it (an alarm: memory, disk)."""
    error: str | None = None
    """What it is down for; of one that is up, what the last one ended with."""


class Probe(Shown):
    """The message that the agent sends itself through the broker."""

    interval_s: float
    """Seconds between two of them."""
    heard_at: datetime | None = None
    """When the last one came back."""
    took_s: float | None = None
    """Seconds that it took from exchange to consumer."""
    deaf_since: datetime | None = None
    """Since when none comes back although both connections are up."""


class Broker(Shown):
    """The way to the broker and back."""

    address: str
    """`host:port/vhost`, without user and password."""
    commands: Link
    """The connection that commands and queries come in on."""
    answers: Link
    """The connection that answers and events go out on."""
    last_confirm: datetime | None = None
    """When the broker last confirmed something."""
    probe: Probe


class Commands(Shown):
    """Taking and doing commands."""

    taken: bool
    """Whether the queue of commands is consumed."""
    paused_since: datetime | None = None
    """Since when they are left in the broker."""
    why_paused: str | None = None
    """Why."""
    pending: int
    """Operations accepted and unfinished."""
    max_pending: int
    """How many may be, before commands are left in the broker."""
    in_hand: int = 0
    """Messages taken from the broker that aren't accepted, refused or acknowledged yet."""
    in_hand_since: datetime | None = None
    """When the oldest of them was taken."""


class Outbox(Shown):
    """Answers and events that the broker hasn't confirmed."""

    waiting: int
    """How many."""
    oldest: datetime | None = None
    """When the oldest of them was written."""
    limit: int
    """At this many, new changes are `unavailable`."""


class Journal(Shown):
    """The journal's file."""

    stream: UUID
    """Of the events; another one means that an earlier journal was lost."""
    bytes: int
    """Size on the disk, the write-ahead log included."""
    unwritable_since: datetime | None = None
    """Since when it can't be written."""
    error: str | None = None
    """Why it can't be written."""


class Hypervisor(Shown):
    """The driver and what it drives."""

    driver: str
    """`libvirt` or `fake`."""
    reachable: bool
    """Whether it answers."""
    since: datetime | None = None
    """Since when it is reachable, or isn't; none before the first look."""
    lost_threads: int = 0
    """Threads that hang now in a call that was given up."""
    lost_threads_ever: int = 0
    """Calls that were given up since the start."""
    lost_threads_bound: int | None = None
    """At this many hanging ones the agent ends, to be started again."""
    overdue_calls: int = 0
    """Calls that are still waited for, and take longer than a healthy one would."""


class Recovery(Shown):
    """What an earlier run of the agent left unfinished."""

    done: bool
    """Whether all of it was taken up again."""
    operations: int | None = None
    """How many operations it were."""


class Task(Shown):
    """A part of the agent that runs for itself."""

    name: str
    """Which part."""
    busy_since: datetime | None = None
    """Since when it is at one piece of work; none while it waits for some."""
    limit_s: float
    """Seconds that one piece may take. Past that it is stuck."""
    stuck: bool = False
    """Whether it is."""


class Watchdog(Shown):
    """What systemd is told."""

    fed: bool
    """False: the agent is past mending itself, and has itself started again."""
    why: str | None = None
    """Why it isn't fed."""


class Health(Shown):
    """Everything, as `GET /health` answers it."""

    host: str
    """Its name in queues and events."""
    agent_version: str
    """Which agent it is."""
    pid: int
    """Its process."""
    started_at: datetime
    """When it began."""
    observed_at: datetime
    """When this was seen."""
    stopping: bool = False
    """Whether it was told to stop, or stops by itself."""
    worn: str | None = None
    """Why it stops by itself, to be started again."""
    broker: Broker
    commands: Commands
    outbox: Outbox
    journal: Journal
    hypervisor: Hypervisor
    recovery: Recovery
    tasks: tuple[Task, ...] = ()
    watchdog: Watchdog
    problems: tuple[Problem, ...] = Field(default=())
    """Worst first."""

    @property
    def healthy(self) -> bool:
        return not any(problem.severity == "fatal" for problem in self.problems)

    @property
    def ready(self) -> bool:
        return all(problem.severity == "warning" for problem in self.problems)

    @property
    def status(self) -> str:
        """All of it in one line, for `systemctl status`."""
        if self.stopping:
            return self.worn or "Finishing work"
        doing = "Serving" if self.recovery.done else "Starting"
        told = (problem.line for problem in self.problems if problem.code != "recovering")
        return "; ".join((f"{doing} as {self.host}", *told))

    def judged(self) -> Health:
        """The same with its `problems`."""
        found = [problem for check in CHECKS if (problem := check(self)) is not None]
        return self.model_copy(update={"problems": tuple(sorted(found, key=_rank))})


def _rank(problem: Problem) -> int:
    order: tuple[Severity, ...] = ("fatal", "not_ready", "warning")
    return order.index(problem.severity)


def _not_ready(code: str, text: str, since: datetime | None) -> Problem:
    return Problem(code=code, severity="not_ready", text=text, since=since)


def _given_up(health: Health) -> Problem | None:
    """past_mending, fatal: the way through the broker can't be mended, though a fresh connection works"""
    if health.watchdog.fed or _stuck(health):
        return None
    return Problem(code="past_mending", severity="fatal", text=health.watchdog.why or "past mending")


def _worn(health: Health) -> Problem | None:
    """worn, fatal: so many calls to the hypervisor hang that the agent stops by itself"""
    return Problem(code="worn", severity="fatal", text=health.worn) if health.worn else None


def _stuck(health: Health) -> Problem | None:
    """task_stuck, fatal: a part of the agent is at one piece of work for too long"""
    stuck = [task for task in health.tasks if task.stuck]
    if not stuck:
        return None
    since = min(task.busy_since for task in stuck if task.busy_since)
    names = ", ".join(task.name for task in stuck)
    return Problem(code="task_stuck", severity="fatal", text=f"{names}: at one piece of work", since=since)


def _stopping(health: Health) -> Problem | None:
    """stopping, not_ready: it was told to stop"""
    return _not_ready("stopping", "the agent is stopping", None) if health.stopping else None


def _unfinished(health: Health) -> Problem | None:
    """recovering, not_ready: what an earlier run left unfinished isn't taken up yet"""
    if health.recovery.done:
        return None
    return _not_ready("recovering", "what an earlier run left isn't taken up yet", health.started_at)


def _away(health: Health) -> Problem | None:
    """broker_away, not_ready: a connection to the broker is down"""
    down = [link for link in (health.broker.commands, health.broker.answers) if not link.up]
    if not down:
        return None
    first = min(down, key=lambda link: link.since)
    why = f": {first.error}" if first.error else ""
    return _not_ready("broker_away", f"no connection to the broker {health.broker.address}{why}", first.since)


def _blocked(health: Health) -> Problem | None:
    """broker_blocked, not_ready: the broker has an alarm and takes nothing"""
    since = health.broker.answers.blocked_since
    if since is None:
        return None
    return _not_ready("broker_blocked", "the broker takes no answers and events: it has an alarm", since)


def _deaf(health: Health) -> Problem | None:
    """deaf, not_ready: connected, and the agent's own messages don't come back"""
    since = health.broker.probe.deaf_since
    if since is None:
        return None
    return _not_ready("deaf", "connected, but the agent's own messages don't come back", since)


def _not_taken(health: Health) -> Problem | None:
    """commands_not_taken, not_ready: connected, and the queue of commands isn't consumed yet"""
    commands, link = health.commands, health.broker.commands
    if commands.taken or commands.paused_since is not None or not link.up or health.stopping:
        return None
    return _not_ready("commands_not_taken", "connected, and commands aren't taken yet", link.since)


def _paused(health: Health) -> Problem | None:
    """commands_paused, not_ready: too many operations are unfinished, commands are left in the broker"""
    commands = health.commands
    if commands.paused_since is None:
        return None
    return _not_ready("commands_paused", f"commands are paused: {commands.why_paused}", commands.paused_since)


def _held_up(health: Health) -> Problem | None:
    """acceptance_stuck, not_ready: a message was taken and is neither accepted nor refused, for no known reason"""
    since = health.commands.in_hand_since
    if since is None or (health.observed_at - since).total_seconds() < HELD_UP_S:
        return None
    if any(known(health) for known in (_unwritable, _away, _blocked, _deaf)):
        return None
    return _not_ready("acceptance_stuck", f"{health.commands.in_hand} messages taken and not accepted", since)


def _full_outbox(health: Health) -> Problem | None:
    """outbox_full, not_ready: so many answers and events wait for the broker that changes are refused"""
    outbox = health.outbox
    if outbox.waiting < outbox.limit:
        return None
    text = f"{outbox.waiting} answers and events wait for the broker: changes are refused"
    return _not_ready("outbox_full", text, outbox.oldest)


def _unsent(health: Health) -> Problem | None:
    """outbox_held_up, warning: connected, and the broker doesn't take what waits for it"""
    outbox = health.outbox
    if outbox.oldest is None or (health.observed_at - outbox.oldest).total_seconds() < UNSENT_S:
        return None
    if any(known(health) for known in (_full_outbox, _unwritable, _away, _blocked)):
        return None
    text = f"connected, but {outbox.waiting} answers and events wait for the broker"
    return Problem(code="outbox_held_up", severity="warning", text=text, since=outbox.oldest)


def _unwritable(health: Health) -> Problem | None:
    """journal_unwritable, not_ready: the journal's disk is full or takes nothing"""
    journal = health.journal
    if journal.unwritable_since is None:
        return None
    return _not_ready("journal_unwritable", f"changes are refused: {journal.error}", journal.unwritable_since)


def _hypervisor_away(health: Health) -> Problem | None:
    """hypervisor_away, not_ready: the hypervisor doesn't answer"""
    hypervisor = health.hypervisor
    if hypervisor.reachable:
        return None
    text = "the hypervisor can't be reached" if hypervisor.since else "the hypervisor hasn't answered yet"
    return _not_ready("hypervisor_away", text, hypervisor.since or health.started_at)


def _threads_lost(health: Health) -> Problem | None:
    """calls_hang, warning: calls to the hypervisor hang"""
    lost, bound = health.hypervisor.lost_threads, health.hypervisor.lost_threads_bound
    if not lost:
        return None
    text = f"{lost} calls to the hypervisor hang; at {bound} the agent has itself started again"
    return Problem(code="calls_hang", severity="warning", text=text)


def _calls_overdue(health: Health) -> Problem | None:
    """calls_overdue, warning: calls to the hypervisor take longer than they should; others go on beside them"""
    overdue = health.hypervisor.overdue_calls
    if not overdue:
        return None
    text = f"{overdue} calls to the hypervisor take longer than they should"
    return Problem(code="calls_overdue", severity="warning", text=text)


CHECKS: tuple[Callable[[Health], Problem | None], ...] = (
    _worn,
    _given_up,
    _stuck,
    _stopping,
    _unfinished,
    _away,
    _blocked,
    _deaf,
    _not_taken,
    _paused,
    _held_up,
    _full_outbox,
    _unwritable,
    _hypervisor_away,
    _unsent,
    _threads_lost,
    _calls_overdue,
)
"""Each looks at one thing; its docstring is its line in the reference: code, severity: when."""
