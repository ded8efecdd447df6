"""The agent's health in Prometheus' text form: every number comes from one Health, none is counted here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from agent.health import Health

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

PREFIX = "compute_agent_"

Labelled = dict[tuple[str, ...], float]


@dataclass(frozen=True, slots=True)
class Series:
    """One metric: its values by label, from a Health. A value that isn't known is left out."""

    name: str
    help: str
    read: Callable[[Health], float | Labelled | None]
    labels: tuple[str, ...] = ()
    counts: bool = False

    def family(self, health: Health) -> Metric:
        kind = CounterMetricFamily if self.counts else GaugeMetricFamily
        family = kind(PREFIX + self.name, self.help, labels=self.labels)
        found = self.read(health)
        for labels, value in (found if isinstance(found, dict) else {(): found}).items():
            if value is not None:
                family.add_metric(labels, value)
        return family


def _age(then: datetime | None, health: Health) -> float | None:
    return None if then is None else max(0.0, (health.observed_at - then).total_seconds())


def _links(health: Health) -> dict[str, bool]:
    return {"commands": health.broker.commands.up, "answers": health.broker.answers.up}


SERIES: tuple[Series, ...] = (
    Series("healthy", "0 when only a restart of the agent helps.", lambda h: h.healthy),
    Series("ready", "Whether commands can be taken and done.", lambda h: h.ready),
    Series(
        "problems",
        "Problems by severity.",
        lambda h: {
            (severity,): sum(p.severity == severity for p in h.problems)
            for severity in ("fatal", "not_ready", "warning")
        },
        ("severity",),
    ),
    Series("start_time_seconds", "When the agent began, in Unix time.", lambda h: h.started_at.timestamp()),
    Series(
        "broker_link_up",
        "Whether a connection to the broker is up.",
        lambda h: {(name,): up for name, up in _links(h).items()},
        ("link",),
    ),
    Series(
        "broker_blocked", "Whether the broker takes nothing.", lambda h: h.broker.answers.blocked_since is not None
    ),
    Series(
        "broker_last_confirm_age_seconds",
        "Since the broker last confirmed something.",
        lambda h: _age(h.broker.last_confirm, h),
    ),
    Series(
        "broker_probe_age_seconds",
        "Since the agent's own message last came back.",
        lambda h: _age(h.broker.probe.heard_at, h),
    ),
    Series(
        "broker_probe_seconds",
        "What the agent's own message took, exchange to consumer.",
        lambda h: h.broker.probe.took_s,
    ),
    Series("broker_deaf", "Connected, and nothing comes back.", lambda h: h.broker.probe.deaf_since is not None),
    Series("commands_taken", "Whether the queue of commands is consumed.", lambda h: h.commands.taken),
    Series(
        "commands_paused",
        "Whether commands are left in the broker for want of room.",
        lambda h: h.commands.paused_since is not None,
    ),
    Series("operations_pending", "Operations accepted and unfinished.", lambda h: h.commands.pending),
    Series(
        "commands_in_hand",
        "Messages taken and not accepted, refused or acknowledged yet.",
        lambda h: h.commands.in_hand,
    ),
    Series(
        "commands_in_hand_oldest_age_seconds",
        "Age of the oldest of them.",
        lambda h: _age(h.commands.in_hand_since, h) or 0.0,
    ),
    Series("operations_pending_max", "How many may be.", lambda h: h.commands.max_pending),
    Series("outbox_waiting", "Answers and events that wait for the broker.", lambda h: h.outbox.waiting),
    Series("outbox_limit", "How many may wait.", lambda h: h.outbox.limit),
    Series(
        "outbox_oldest_age_seconds",
        "Age of the oldest answer or event that waits.",
        lambda h: _age(h.outbox.oldest, h) or 0.0,
    ),
    Series("journal_bytes", "Size of the journal on the disk.", lambda h: h.journal.bytes),
    Series("journal_writable", "Whether it can be written.", lambda h: h.journal.unwritable_since is None),
    Series("hypervisor_reachable", "Whether the hypervisor answers.", lambda h: h.hypervisor.reachable),
    Series("hypervisor_lost_threads", "Threads that hang in a call.", lambda h: h.hypervisor.lost_threads),
    Series(
        "hypervisor_lost_threads_max",
        "At how many the agent has itself started again.",
        lambda h: h.hypervisor.lost_threads_bound,
    ),
    Series(
        "hypervisor_calls_given_up",
        "Calls that were given up.",
        lambda h: h.hypervisor.lost_threads_ever,
        counts=True,
    ),
    Series(
        "hypervisor_overdue_calls",
        "Calls that are waited for and take longer than a healthy one would.",
        lambda h: h.hypervisor.overdue_calls,
    ),
    Series("recovered", "Whether what an earlier run left is taken up.", lambda h: h.recovery.done),
    Series(
        "task_busy_seconds",
        "How long a part of the agent is at one piece of work.",
        lambda h: {(task.name,): _age(task.busy_since, h) or 0.0 for task in h.tasks},
        ("task",),
    ),
)


class _Page(Collector):
    def __init__(self, health: Health) -> None:
        self._health = health

    def collect(self) -> Iterator[Metric]:
        for series in SERIES:
            yield series.family(self._health)


def exposition(health: Health) -> bytes:
    """With the process's own figures: CPU time, memory, file descriptors."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Page(health))
    ProcessCollector(registry=registry)
    return generate_latest(registry)
