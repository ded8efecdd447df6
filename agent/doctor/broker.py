"""The broker: does it let us in, is all there and as the agent declares it, is it taken care of?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from yarl import URL

from agent.doctor.finding import Finding, Findings, broken, ok, warning
from agent.names import Names
from agent.rpc.connection import NotOpened, describe
from agent.rpc.inspection import Inspection, LoginRefused, Seen, Trouble, inspect
from agent.rpc.topology import Layout
from agent.settings import Amqp, Settings

BACKLOG = 1000
"""Commands or notifications that wait; a queue that has more isn't kept up with."""

Rule = Callable[[Inspection, Layout], Iterable[Finding]]


async def check(settings: Settings) -> Findings:
    names = Names(exchange=settings.rpc.exchange, topic=settings.rpc.topic, host=settings.host)
    layout = Layout(names, settings.rpc, settings.notifications)
    url = URL(settings.amqp.url.get_secret_value())
    where = f"{url.host}:{url.port}, virtual host {url.path.removeprefix('/') or '/'!r}"
    try:
        seen = await inspect(settings.amqp, layout)
    except LoginRefused as error:
        says = f"{where} refuses user {url.user!r}: {describe(error)}"
        return [broken(says, f"set user and password in amqp.url{_hint(settings)}")]
    except NotOpened as error:
        mend = f"make it (rabbitmqctl add_vhost, set_permissions), or set another in amqp.url{_hint(settings)}"
        return [broken(f"{where}: {describe(error)}", mend)]
    except Trouble as error:
        return [
            broken(
                f"{where} can't be used: {describe(error)}", f"see that it runs, and set amqp.url{_hint(settings)}"
            )
        ]
    found = [finding for rule in RULES for finding in rule(seen, layout)]
    return (
        [ok(f"{where}, RabbitMQ {seen.version}"), *found]
        if found
        else [ok(f"{where}, RabbitMQ {seen.version}; {len(seen.queues)} queues as they should be")]
    )


def _hint(settings: Settings) -> str:
    """systemd hands a credential to the agent alone, and this isn't the agent."""
    if settings.amqp.url != Amqp().url:
        return ""
    return f"; {_CREDENTIAL}"


_CREDENTIAL = (
    "it isn't set here: if it is a credential, CREDENTIALS_DIRECTORY=/run/credentials/compute-agent.service"
)


def _missing(seen: Inspection, layout: Layout) -> Iterator[Finding]:
    for what, things in (("exchange", seen.exchanges), ("queue", seen.queues)):
        for thing in things:
            if not thing.there:
                yield _absent(what, thing)


def _absent(what: str, thing: Seen) -> Finding:
    if thing.differs is not None:
        mend = "give the agent's user rights on it: the page on deploying says which"
        return broken(f"{what} {thing.name} can't be asked for: {thing.differs}", mend)
    return broken(f"{what} {thing.name} isn't there", "start the agent: it declares it")


def _different(seen: Inspection, layout: Layout) -> Iterator[Finding]:
    for what, things in (("exchange", seen.exchanges), ("queue", seen.queues)):
        for thing in things:
            if thing.there and thing.differs is not None:
                mend = f"if nobody needs it so, delete it (an empty queue alone) and restart the agent; {_WHY}"
                yield warning(f"{what} {thing.name} isn't as the agent declares it: {thing.differs}", mend)


_WHY = "the agent uses it as it is"


def _consumers(seen: Inspection, layout: Layout) -> Iterator[Finding]:
    queue = seen.queue(layout.names.commands)
    if not queue.there:
        return
    if queue.consumers == 0:
        held = "an agent is connected and takes no commands" if seen.taken else "no agent is connected"
        yield broken(f"nobody consumes {queue.name}: {held}", "see what the check of the agent says here")
    elif queue.consumers > 1:
        says = f"{queue.consumers} consumers on {queue.name}: each gets a part of this host's commands"
        yield broken(says, "find the strangers: rabbitmqctl list_consumers; only the host's agent may consume it")


def _backlog(seen: Inspection, layout: Layout) -> Iterator[Finding]:
    queue = seen.queue(layout.names.commands)
    if queue.messages > BACKLOG:
        mend = "see agent-cli operations; wait, or send less"
        yield warning(f"{queue.messages} commands wait in {queue.name}", mend)


def _notifications(seen: Inspection, layout: Layout) -> Iterator[Finding]:
    """Whether a policy bounds a queue isn't told over AMQP."""
    for queue in map(seen.queue, layout.notified()):
        if not queue.there:
            continue
        if queue.consumers == 0:
            says = f"nobody listens on {queue.name}: {queue.messages} notifications wait there, without a bound"
            yield warning(f"{says} unless a policy sets one", _LISTEN)
        elif queue.messages > BACKLOG:
            yield warning(f"{queue.messages} notifications wait in {queue.name}", "start more listeners, or wait")


_LISTEN = (
    "start a listener whose endpoint has this priority; or bound the queue by a policy of the broker: the page on "
    "calling from OpenStack has one"
)


def _dead_letters(seen: Inspection, layout: Layout) -> Iterator[Finding]:
    queue = seen.queue(layout.names.dead_letters)
    if queue.messages:
        says = f"{queue.messages} refused messages of all hosts wait in {queue.name}"
        yield warning(says, "look at them: agent-cli dead list; then resend or drop them")


def _alarm(seen: Inspection, layout: Layout) -> Iterator[Finding]:
    if seen.blocked:
        mend = "free memory or disk on the broker: rabbitmq-diagnostics alarms"
        yield broken("the broker takes no messages: it has an alarm", mend)


RULES: tuple[Rule, ...] = (_alarm, _missing, _different, _consumers, _backlog, _notifications, _dead_letters)
