"""start, stop, reboot, pause, unpause, suspend, resume: one step each, nothing to undo."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal

from agent.admission import OFF, Decision, Verb, admit
from agent.hypervisor.ports import Domains, DomainView
from agent.operations.base import Env, Operation, State, by_state
from agent.saga import Saga, Step
from agent.spec import PowerState
from agent.telemetry import share

POWER_BUTTON_AGAIN_S = 10.0
"""Seconds after which the power button is pressed again: a guest that was booting didn't see it."""
MARGIN_S = 60.0
"""Seconds beside the guest's own time, for the calls."""


class Power(State):
    """start, pause, unpause, suspend, resume need nothing but the instance."""


class Stop(State):
    graceful: bool = True
    timeout_s: float = 60


class Reboot(State):
    mode: Literal["soft", "hard"] = "soft"
    timeout_s: float = 120


def one_step(name: str, verb: Verb, act: Callable[[Domains], Callable[..., Awaitable[None]]]) -> Operation[Power]:
    async def do(env: Env, state: Power) -> Power:
        await act(env.hypervisor.domains)(state.instance_uuid)
        return state

    return Operation(Saga(name, Power, (Step(name, do),)), by_state(verb))


async def stop(env: Env, state: Stop) -> Stop:
    """Press the power button until the guest is off or its time is up; then pull the plug."""
    domains, uuid = env.hypervisor.domains, state.instance_uuid
    view = await domains.get(uuid)
    if state.graceful and view.power_state is PowerState.RUNNING:
        loop = asyncio.get_running_loop()
        end = loop.time() + state.timeout_s
        while (left := end - loop.time()) > 0:
            await domains.shutdown(uuid)
            with share("wait"):
                reached = await domains.wait_for(uuid, OFF, min(left, POWER_BUTTON_AGAIN_S))
            if reached is not None:
                return state
    await domains.power_off(uuid)
    return state


async def reboot(env: Env, state: Reboot) -> Reboot:
    """Soft: ask, and press reset when nothing came of it in time. Hard: press reset."""
    domains, uuid = env.hypervisor.domains, state.instance_uuid
    if state.mode == "soft" and state.timeout_s > 0:
        seen = asyncio.create_task(domains.wait_for_reboot(uuid, state.timeout_s))
        try:
            await asyncio.sleep(0)  # the task is listening before the guest is asked
            await domains.reboot(uuid)
            with share("wait"):
                if await seen:
                    return state
        finally:
            seen.cancel()
    await domains.reset(uuid)
    await domains.unpause(uuid)
    return state


def admit_reboot(state: Reboot, view: DomainView | None) -> Decision:
    verb = Verb.REBOOT_SOFT if state.mode == "soft" else Verb.REBOOT_HARD
    return admit(verb, view.power_state if view else None)


START = one_step("start", Verb.START, lambda domains: domains.start)
PAUSE = one_step("pause", Verb.PAUSE, lambda domains: domains.pause)
UNPAUSE = one_step("unpause", Verb.UNPAUSE, lambda domains: domains.unpause)
SUSPEND = one_step("suspend", Verb.SUSPEND, lambda domains: domains.suspend)
RESUME = one_step("resume", Verb.RESUME, lambda domains: domains.start)
STOP = Operation(
    Saga("stop", Stop, (Step("stop", stop),)),
    by_state(Verb.STOP),
    timeout_s=lambda state, _: state.timeout_s + MARGIN_S,
)
REBOOT = Operation(
    Saga("reboot", Reboot, (Step("reboot", reboot),)),
    admit_reboot,
    timeout_s=lambda state, _: state.timeout_s + MARGIN_S,
)
