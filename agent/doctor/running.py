"""Does the agent run, and how is it by its own word? It is asked on its socket in the state directory."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from datetime import UTC, datetime

from agent.doctor.finding import CantCheck, Finding, Findings, Verdict, broken, ok, warning
from agent.health import SOCKET, Health, Problem, Severity
from agent.health_socket import ask
from agent.hypervisor.storage.blocking import look
from agent.journal.lock import holder
from agent.settings import Settings

ASK_S = 5.0

_VERDICTS: dict[Severity, Verdict] = {
    "fatal": Verdict.BROKEN,
    "not_ready": Verdict.BROKEN,
    "warning": Verdict.WARNING,
}

MENDS = {
    "past_mending": "systemd restarts it; without systemd do: systemctl restart compute-agent",
    "worn": "systemd restarts it; look for guests whose disk doesn't answer, and for a libvirtd that hangs",
    "task_stuck": "systemd restarts it; its log says what it was at",
    "stopping": "wait; systemctl status compute-agent",
    "recovering": "wait; agent-cli operations shows what is taken up",
    "broker_away": "see what the check of the broker says here",
    "broker_blocked": "free memory or disk on the broker: rabbitmq-diagnostics alarms",
    "deaf": "it connects anew by itself; should it not, look at the broker's queues",
    "commands_paused": "wait for work to end, see agent-cli operations; or raise operations.max_pending",
    "commands_not_taken": "wait; should it stay, look at the broker's queue of commands: another may consume it",
    "acceptance_stuck": "no known trouble explains it: keep its log, then systemctl restart compute-agent",
    "outbox_full": "bring the broker back: answers and events wait for it",
    "outbox_held_up": "wait if they get fewer; else see its log for what isn't confirmed, and the broker's check",
    "journal_unwritable": "free space on the disk of state_dir; it recovers by itself",
    "hypervisor_away": "see what the check of libvirt says here",
    "calls_hang": "look for guests whose disk doesn't answer; restarting libvirtd ends such calls",
    "calls_overdue": "look for storage that is slow or doesn't answer; what else the agent does goes on",
}
"""What to do about a problem that the agent tells of, by its code."""


async def check(settings: Settings) -> Findings:
    state_dir = settings.state_dir
    try:
        pid = await look(lambda: holder(state_dir), "looking for the agent")
    except PermissionError:  # whoever runs this has no right; the agent may have
        raise
    except OSError as error:
        says = f"no agent can use {state_dir} as state_dir: {error.filename}: {error.strerror}"
        return [broken(says, "make it a directory that belongs to the agent's user, or set another state_dir")]
    if pid is None:
        return [
            warning(f"no agent runs in {state_dir}", "start it: systemctl start compute-agent"),
        ]
    try:
        health = await look(lambda: ask(state_dir, ASK_S), "asking the agent", seconds=ASK_S + 2)
    except PermissionError as error:
        raise CantCheck(
            f"the agent (pid {pid}) runs, and its socket can't be opened: {error.strerror}",
            "run this as root or as the agent's user",
        ) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        says = f"the agent (pid {pid}) runs, and doesn't answer on {state_dir / SOCKET}: {error}"
        return [broken(says, "look into its log; systemctl restart compute-agent")]
    return list(_told(health))


def _told(health: Health) -> Iterator[Finding]:
    up = datetime.now(UTC) - health.started_at
    if not health.problems:
        yield ok(f"pid {health.pid}, version {health.agent_version}, up {_span(up.total_seconds())}")
    yield from map(_finding, health.problems)


def _finding(problem: Problem) -> Finding:
    since = f", since {problem.since:%Y-%m-%d %H:%M:%SZ}" if problem.since else ""
    return Finding(
        verdict=_VERDICTS[problem.severity],
        says=f"{problem.text}{since}",
        mend=MENDS.get(problem.code, "look into its log: journalctl -u compute-agent"),
    )


def _span(seconds: float) -> str:
    minutes = int(seconds) // 60
    days, hours = divmod(minutes // 60, 24)
    return f"{days} d {hours} h" if days else f"{hours} h {minutes % 60} min"
