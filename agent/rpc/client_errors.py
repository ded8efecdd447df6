"""What a client raises beside the classes of the contract: what is wrong between it and the broker."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from aio_pika.exceptions import AuthenticationError, ProbableAuthenticationError

from agent.errors import BY_CODE, AgentError, TimedOut, Unavailable
from agent.rpc.connection import BROKEN, REFUSALS, NotOpened, describe
from agent.rpc.schema.results import Error


class BrokerUnreachable(Unavailable):
    """The broker can't be reached. A call wasn't sent; a cast may have been."""


class LoginRefused(Unavailable):
    """The broker refuses the login, its virtual host, or a right that is needed."""

    retryable = False


class Unroutable(Unavailable):
    """There is no such queue: no agent of that host name has ever run on this broker. Nothing was begun."""


class NoAnswer(TimedOut):
    """No answer came in time. The same request under the same `message_id` still gets it."""


class UnknownError(AgentError):
    """An agent of a later version answered with a code that isn't known here; it is in `details.code`."""


class UnknownRetryable(UnknownError):
    """As that, and trying again later makes sense."""

    retryable: ClassVar[bool] = True


def remote_error(error: Error) -> AgentError:
    """The class that its code names; for an unknown code, one that says whether to try again. Pure."""
    kind = BY_CODE.get(error.code)
    details = dict(error.details)
    if kind is None:
        kind = UnknownRetryable if error.retryable else UnknownError
        details.setdefault("code", error.code)
    return kind(error.message, details=details, incident=error.incident)


@contextmanager
def told() -> Iterator[None]:
    """What the broker's library raises, as errors of this client; no password is in them."""
    try:
        yield
    except (AuthenticationError, ProbableAuthenticationError) as error:
        raise LoginRefused(f"the broker refuses the login: {describe(error)}") from None
    except NotOpened as error:
        raise LoginRefused(str(error)) from None
    except REFUSALS as error:
        raise LoginRefused(f"the broker refuses: {describe(error)}") from None
    except BROKEN as error:
        raise BrokerUnreachable(f"the broker can't be reached: {describe(error)}") from None
