"""Every bench by its name. Another one is a function in a file of its own, and a line here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from tests.bench.answers import ping, spawn_share
from tests.bench.bed import Bed
from tests.bench.casts import casts, spawn_rate
from tests.bench.figures import Figure
from tests.bench.frozen import frozen_guest, frozen_libvirtd
from tests.bench.oslo import oslo
from tests.bench.recovery import recovery
from tests.bench.soak import soak
from tests.bench.start import cli_start

Bench = Callable[[Bed], Awaitable[list[Figure]]]
"""Its docstring says what is measured, as the table's caption."""

BENCHES: dict[str, Bench] = {
    "casts": casts,
    "spawn-rate": spawn_rate,
    "spawn-share": spawn_share,
    "ping": ping,
    "oslo": oslo,
    "cli-start": cli_start,
    "soak": soak,
    "recovery": recovery,
    "frozen-guest": frozen_guest,
    "frozen-libvirtd": frozen_libvirtd,
}
