"""The words by which a name tells that its value is secret: one list for the log and for parked requests.

`redaction` (the log) looks for them at the end of a name, `rpc.redact` (what is parked) anywhere in it: a log
line that hides too much is of no use, and a parked request is better asked for once more.
"""

from __future__ import annotations

import re

ALONE = r"pass|pwd?"
"""Only as a word of their own: `admin_pass`, not `bypass`."""
ANYWHERE = (
    r"passw[a-z]*|passphrase|passcode|secret|token|credential|authorization|cookie|user_?data"
    r"|(?:private|api|access|sealing|secret)_?key"
)
"""Also within a longer word: `authtoken`."""

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[-. ]")


def spelled(name: str) -> str:
    """One spelling for all: `adminPass`, `Admin-Pass` and `admin_pass` are `admin_pass`."""
    return _HUMP.sub("_", name).lower()
