"""How this host fetches from servers. Apart from `download`, so that an agent starts without an HTTP client."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path

from agent.hypervisor.storage.blocking import in_thread


@dataclass(slots=True)
class Web:
    """How this host fetches: seconds to connect, seconds of silence, and whose certificates it trusts
    (`ca_file`; default the system's)."""

    connect_s: float = 10
    silence_s: float = 30
    ca_file: Path | None = None
    _trust: ssl.SSLContext | None = field(default=None, repr=False)

    async def trust(self) -> ssl.SSLContext:
        """Made once: reading the system's certificates takes tens of milliseconds."""
        if self._trust is None:
            self._trust = await in_thread(ssl.create_default_context, cafile=self.ca_file)
        return self._trust
