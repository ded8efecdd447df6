"""The composition root: settings become objects, the objects run until SIGTERM. The only place that wires.

    lock -> journal -> hypervisor -> operations -> desk -> publisher, consumer

Start: serve at once. What an earlier run left unfinished is submitted before the first new command, so that
order on an instance is kept. Stop: no new commands, short work ends, long work stays in the journal for the
next start, answers and events are sent, and the rest waits in the outbox.

A side task that dies stops the daemon: half an agent is worse than none, and systemd starts a whole one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog

from agent import health
from agent.checkup import Checkup, Course
from agent.errors import AgentError, Unavailable
from agent.hypervisor.ports import Hypervisor
from agent.instances import Instances
from agent.journal import Journal
from agent.journal.lock import StateDirLock
from agent.journal.pruning import piece
from agent.journal.records import NewEvent, OperationRecord
from agent.journal.refusal import NoRoom, StartRefused
from agent.journal.sealing import KeyFile
from agent.names import Names
from agent.notify import notify, watchdog_interval
from agent.operations import after_boot
from agent.operations.control import CONTROL
from agent.operations.runner import Operations
from agent.operations.turn import Limits
from agent.patience import until_done
from agent.power import Cause, PowerStates
from agent.pulse import Pulses
from agent.rpc.consumer import Consumer
from agent.rpc.edge import Edge
from agent.rpc.events import Ephemeral, OutboxSender
from agent.rpc.handlers import Handlers, Inside, describe_host
from agent.rpc.heartbeats import Heartbeats
from agent.rpc.notifications import notification
from agent.rpc.probe import Probe
from agent.rpc.publisher import Publisher
from agent.rpc.reception import Bounds, Reception
from agent.rpc.router import Router
from agent.rpc.topology import Layout, Topology
from agent.settings import Settings
from agent.version import agent_version
from agent.watchdog import Patience, Watchdog
from agent.web.server import HealthServer

log = structlog.get_logger(__name__)

DRAIN_S = 20.0
"""Seconds that work under way has to end after SIGTERM; what hasn't is resumed at the next start."""
FLUSH_S = 5.0
"""Seconds that answers and events have to leave; what hasn't is sent at the next start."""
ROOM_AGAIN_S = 2.0
"""Seconds between two tries to open the journal on a full disk."""
FIRST_WORK_S = 1.0
"""Seconds that the health pages give way to what an earlier run left unfinished."""
PRUNE_S = 600.0
"""Seconds between two looks for what the journal needs no more; one that grows fast is looked at sooner."""


async def make_hypervisor(settings: Settings) -> Hypervisor:
    """The driver that the settings name. Each is imported only when it is used."""
    if settings.hypervisor.driver == "fake":
        from agent.hypervisor.fake.driver import fake_driver

        return fake_driver(
            settings.state_dir,
            hostname=settings.host,
            allowed_directories=settings.storage.allowed_directories,
            call_timeout=settings.hypervisor.long_timeout_s,
            detach_timeout=settings.hypervisor.detach_timeout_s,
        )
    from agent.hypervisor.libvirt.driver import libvirt_driver

    return await libvirt_driver(settings)


class Worn(Exception):
    """The agent has stopped because only a new process helps; the text says why."""


class Service:
    """One agent. `run` returns when `stop` was called and all is put away."""

    def __init__(
        self,
        settings: Settings,
        on_stop: Callable[[], None] = lambda: None,
        on_loaded: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_stop` is called when it begins to stop, by itself too; `on_loaded` before it says it
        is ready, and each time that a large part was loaded after that."""
        self._settings = settings
        self._on_stop = on_stop
        self._on_loaded = on_loaded
        self._stopping = asyncio.Event()
        self._recovered = asyncio.Event()
        self._boot_id = after_boot.read_boot_id()
        self._course = Course()
        self._pulses = Pulses()

    @property
    def worn(self) -> str | None:
        """Why it stops by itself, if it does."""
        return self._course.worn

    def stop(self) -> None:
        self._course.stopping = True
        self._on_stop()
        self._stopping.set()

    async def run(self) -> None:
        """Raises StartRefused when it can't begin; Worn when it stopped by itself, in good order; ExceptionGroup
        when a side task died."""
        async with AsyncExitStack() as stack:
            self._make_state_dir()
            stack.enter_context(StateDirLock(self._settings.state_dir, self._settings.host))
            self.journal = await self._open_journal()
            stack.push_async_callback(self.journal.close)
            await self._wire()
            # Before the journal closes, whatever ends this: what goes on without one would only fail.
            stack.push_async_callback(self._halt)
            async with asyncio.TaskGroup() as side:
                tasks = [side.create_task(work(), name=name) for name, work in self._side_tasks()]
                await self._serve()
                for task in tasks:
                    task.cancel()
        if self._course.worn is not None:
            raise Worn(self._course.worn)

    async def _halt(self) -> None:
        await self.consumer.stop_consuming()
        await self.operations.stop()

    def _make_state_dir(self) -> None:
        """Others may pass through (QEMU runs as another user) but not look in."""
        try:
            self._settings.state_dir.mkdir(mode=0o711, parents=True, exist_ok=True)
        except OSError as failure:
            raise StartRefused(
                f"state_dir {self._settings.state_dir} can't be made: {failure.strerror}; "
                "make it a directory that belongs to the agent's user, or set another state_dir"
            ) from failure

    async def _open_journal(self) -> Journal:
        state_dir: Path = self._settings.state_dir
        given, limit = self._settings.journal.key, self._settings.journal.outbox_limit
        key = (
            KeyFile.load_or_create(state_dir / "journal.key")
            if given is None
            else KeyFile.from_bytes(given.get_secret_value().encode())
        )
        opened = partial(Journal.open, state_dir / "journal.db", key, host=self._settings.host, outbox_limit=limit)
        while True:
            try:
                return await opened()
            except NoRoom as full:
                if await self._stopped_within(ROOM_AGAIN_S):
                    raise
                # Whoever starts us again and again would give up at last; there may be room any moment.
                notify(f"STATUS=Waiting for room: {full}")
                log.warning("journal.no_room", error=str(full))

    async def _stopped_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        return self._stopping.is_set()

    async def _wire(self) -> None:
        settings = self._settings
        try:
            self.hypervisor = await make_hypervisor(settings)
        except AgentError as failure:
            raise StartRefused(failure.message) from failure
        self.instances = Instances(settings.operations.max_waiting_per_instance)
        self.power = PowerStates(self.journal, self._cause, self.hypervisor.domains)
        limits = Limits(
            spawn_timeout_s=settings.operations.spawn_timeout_s,
            operation_timeout_s=settings.operations.operation_timeout_s,
            max_pending=settings.operations.max_pending,
        )
        self.operations = Operations(
            self.journal, self.hypervisor, self.instances, limits, self._tell_progress, CONTROL
        )
        self.inside = Inside(
            host=settings.host,
            version=agent_version(),
            journal=self.journal,
            hypervisor=self.hypervisor,
            instances=self.instances,
            operations=self.operations,
            power=self.power,
        )
        self._wire_edge(Handlers(self.inside))
        self._wire_health()

    def _wire_edge(self, desk: Handlers) -> None:
        amqp, rpc = self._settings.amqp, self._settings.rpc
        names = Names(exchange=rpc.exchange, topic=rpc.topic, host=self._settings.host)
        told = self._settings.notifications
        topology = Topology(Layout(names, rpc, told))
        self.publisher = Publisher(amqp, f"compute-agent {names.host} answers", prepare=topology.declare)
        self.heartbeats = Heartbeats(self.publisher)
        notify = partial(notification, names=names, topic=told.topic)
        self.outbox = OutboxSender(
            self.journal,
            self.publisher,
            names,
            self._pulses,
            self.heartbeats,
            notify=notify if told.enabled else None,
        )
        self.ephemeral = Ephemeral(self.publisher, names)
        self.probe = Probe(
            names=names,
            post=self.publisher,
            ears=lambda queue: self.consumer.feed_of(queue),
            interval_s=rpc.check_interval_s,
            on_lost=lambda: self.consumer.look_now(),
        )
        bounds = Bounds(max_message_bytes=rpc.max_message_bytes)
        router = Router(names, rpc.shared_spawn)
        reception = Reception(desk, router, self.publisher, self.probe, self.heartbeats, bounds)
        self.consumer = Consumer(amqp, rpc, names, reception, topology)
        self.edge = Edge(amqp, names, self.consumer, self.publisher, self.probe)

    def _wire_health(self) -> None:
        self.checkup = Checkup(
            settings=self._settings,
            course=self._course,
            journal=self.journal,
            hypervisor=self.hypervisor,
            power=self.power,
            operations=self.operations,
            edge=self.edge,
            pulses=self._pulses,
            verdict=lambda: self.watchdog.verdict,
        )
        self.watchdog = Watchdog(
            edge=self.edge,
            pulses=self._pulses,
            patience=Patience.of(self._settings.rpc.check_interval_s),
            look=self.checkup.look,
            interval_s=watchdog_interval(),
        )
        self.health = HealthServer(
            self._settings.state_dir / health.SOCKET,
            self.checkup.look,
            first=self._first_work_done,
            on_loaded=self._on_loaded,
        )

    def _side_tasks(self) -> list[tuple[str, Callable[[], Coroutine[Any, Any, None]]]]:
        return [
            ("hypervisor", self._keep_hypervisor),
            ("wear", self._stop_when_worn),
            ("power", self._follow_power),
            ("publisher", self.publisher.run),
            ("outbox", self.outbox.run),
            ("ephemeral", self.ephemeral.run),
            ("heartbeats", self.heartbeats.run),
            ("probe", self.probe.run),
            ("report", self._report),
            ("prune", self._prune),
            ("journal", self.checkup.run),
            ("watchdog", self.watchdog.run),
            ("health", self.health.run),
            ("after boot", self._start_after_boot),
        ]

    async def _serve(self) -> None:
        log.info("agent.starting", host=self._settings.host, driver=self._settings.hypervisor.driver)
        await self._tell_host("started")
        await self._resume_heartbeats()
        recovered = await self.operations.recover()
        self._course.recovered = recovered
        with suppress(Unavailable):  # a full disk: it is tried again before it is too late
            await self._note_boot()
        self._recovered.set()
        if recovered:
            log.info("agent.recovering", operations=recovered)
        await self._until_stopped(self.consumer.start())
        await self._drain()

    async def _resume_heartbeats(self) -> None:
        """Before anything can be answered: what is answered has no heartbeats any more."""
        now = datetime.now(UTC)
        for address, since in await self.journal.waiting():
            self.heartbeats.begin(address, waited_s=max(0.001, (now - since).total_seconds()))

    async def _first_work_done(self) -> None:
        """What was left unfinished, if it can be done within moments."""
        await self._recovered.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_WORK_S):
                await self.instances.wait_until_idle()

    async def _until_stopped(self, consuming: asyncio.Task[None]) -> None:
        """Raises RuntimeError when the consumer dies: an agent that takes no commands isn't one; StartRefused."""
        taking = asyncio.create_task(self._take_commands())
        try:
            await asyncio.wait({taking, consuming}, return_when=asyncio.FIRST_COMPLETED)
            if consuming.done():
                death = None if consuming.cancelled() else consuming.exception()
                raise RuntimeError("the consumer of commands has ended by itself") from death
            taking.result()
        finally:
            taking.cancel()

    async def _take_commands(self) -> None:
        if await self._ready():
            self._on_loaded()
            notify("READY=1", f"STATUS=Serving as {self._settings.host}")
            log.info("agent.ready", host=self._settings.host)
        await self._stopping.wait()

    async def _ready(self) -> bool:
        """Wait until commands are taken, however long the broker is away; False when it is to stop before that.
        Raises StartRefused when another agent has the host's name."""
        steps = [asyncio.create_task(self.consumer.consuming()), asyncio.create_task(self._stopping.wait())]
        # What is left of our own last connection is dropped by the broker within three heartbeats.
        patience = 4 * self._settings.amqp.heartbeat_s
        taken_since: float | None = None
        try:
            while True:
                done, _ = await asyncio.wait(steps, timeout=1, return_when=asyncio.FIRST_COMPLETED)
                if done:
                    return not self._stopping.is_set()
                trouble, now = self.consumer.health().trouble, asyncio.get_running_loop().time()
                taken_since = (taken_since or now) if trouble else None
                if taken_since is not None and now - taken_since > patience:
                    raise StartRefused(f"{trouble}; stop the other one, or set another host")
        finally:
            for step in steps:
                step.cancel()

    async def _drain(self) -> None:
        notify("STOPPING=1", f"STATUS={self._course.worn or 'Finishing work'}")
        log.info("agent.stopping")
        await self.consumer.stop_consuming()
        await self._tell_host("stopping")
        try:
            async with asyncio.timeout(DRAIN_S):
                await self.instances.wait_until_idle()
        except TimeoutError:
            log.info("agent.stopping.with_work_left")
        await self.operations.stop()
        await self.outbox.flush(timeout=FLUSH_S)
        log.info("agent.stopped")

    async def _tell_host(self, what: str) -> None:
        data = {"host": self._settings.host, "agent_version": agent_version()}
        try:
            await self.journal.append([NewEvent(type=f"compute.host.{what}", subject=None, data=data)])
        except Unavailable as error:
            # A full disk keeps changes out; the guests can still be looked at, and the agent stopped.
            log.warning("host_event.untold", event_type=what, error=error.message)

    def _cause(self, uuid: UUID, moment: datetime) -> Cause | None:
        job = self.instances.at_work(uuid, moment)
        return Cause(job.method, job.request_id) if job else None

    def _tell_progress(self, record: OperationRecord, what: str, fraction: float) -> None:
        data = {
            "operation_id": str(record.id),
            "method": record.method,
            "request_id": record.caller.request_id,
            "doing": what,
            "progress": fraction,
        }
        self.ephemeral.tell("compute.operation.progress", record.instance_uuid, data)

    async def _keep_hypervisor(self) -> None:
        """Closed after the work that uses it was stopped, whatever ends the agent: else that work would fail, and
        be undone or stuck, in place of going on at the next start."""
        running = asyncio.ensure_future(self.hypervisor.run())
        try:
            await asyncio.wait({running})
            running.result()
        finally:
            await self.operations.stop()
            running.cancel()
            await asyncio.wait({running})

    async def _stop_when_worn(self) -> None:
        """In good order: what can end ends, what can't goes on at the next start."""
        await self.hypervisor.exhausted.wait()
        hanging = self.hypervisor.given_up().hanging
        self._course.worn = f"{hanging} calls to the hypervisor hang: the agent has itself started again"
        log.error("agent.worn", reason=self._course.worn)
        self.stop()

    async def _follow_power(self) -> None:
        await self.power.load()
        # What changed while the agent was away may be the work of what is resumed.
        await self._recovered.wait()
        # Who should run is told by what was recorded before this boot, so nothing is recorded until that is noted.
        await until_done(self._note_boot, may_pass=lambda failure: isinstance(failure, Unavailable))
        await self.power.follow(self.hypervisor.observations())

    async def _note_boot(self) -> None:
        """Raises Unavailable on a full disk."""
        resume = self._settings.operations.resume_guests_after_boot
        await after_boot.note_boot(self.journal, self._boot_id, resume=resume)

    async def _start_after_boot(self) -> None:
        await self.power.resynced.wait()
        await after_boot.AfterBoot(self.journal, self.operations, self.instances, self._boot_id).run()

    async def _report(self) -> None:
        while True:
            try:
                info = await describe_host(self.inside)
            except AgentError as error:
                log.warning("report.failed", error=error.message)
            else:
                self.ephemeral.tell("compute.host.report", None, info.model_dump(mode="json"))
            await asyncio.sleep(self._settings.report_interval_s)

    async def _prune(self) -> None:
        kept = self._settings.journal
        while True:
            await self.journal.grown(piece(kept.max_operations, kept.max_events), PRUNE_S)
            try:
                await self.journal.prune(timedelta(seconds=kept.retention_s), kept.max_operations, kept.max_events)
            except AgentError as error:
                log.warning("prune.failed", error=error.message)
