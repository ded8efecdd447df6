"""docs/reference/operations.md, for `scripts/docs`: every operation's steps, and where it can be cancelled."""

from __future__ import annotations

from typing import Any

from agent.operations import TABLE
from agent.operations.base import Operation
from agent.saga import Step

HEAD = """<!-- Made by scripts/docs from the code; change it there. -->

# Operations

What a changing method does, step by step. A step is in the journal before it is begun; that it is done is written
with what comes next. It may be done twice: an agent that was killed goes on with the step that it was in. `plan`
shows the same steps for one request; `get_operation` shows how far one is.

## Where an operation can be cancelled

By `cancel_operation`, and by a `destroy` of its instance:

* **Waiting for its turn:** at once; nothing was begun.
* **In a step that waits or moves data** (a download, `qemu-img`, a guest that shuts down, reboots or lets a device
  go): at once; the program is ended, the half of a file removed.
* **In a call to libvirt:** the call can't be taken back. It is waited for until it can't take effect any more.
* **Between two steps:** always.
* **While its end is written:** no more; it has ended otherwise, and `cancel_operation` says so (`conflict`).

Then what was begun is undone, newest first, and the operation ends as `cancelled`, with its answer and its
`.error` event; a cast, for whose answer nobody waits, too. The undoing itself isn't cancelled, and has 300
seconds whatever time the operation had left. What has no undo ends as `cancelled` with `details.undone:
false`: what was done stays.

An operation whose time is up (`operations.spawn_timeout_s`, `operations.operation_timeout_s`; for `stop`
and `reboot` their own `timeout_s` and a minute) in a call whose outcome can't be known ends as `timed_out`,
and nothing is undone before the outcome is known.
"""


def reference() -> str:
    return HEAD + "".join(_section(operation) for operation in TABLE.values())


def _section(operation: Operation[Any]) -> str:
    lines = [f"\n## {operation.method}\n", _cancelled(operation), "", "| Step | Undone by |", "| --- | --- |"]
    return "\n".join([*lines, *map(_row, operation.saga.steps)]) + "\n"


def _cancelled(operation: Operation[Any]) -> str:
    if operation.preempts:
        return (
            "Cancels all that was accepted before it on the instance, and goes next. Cancelled itself, what was "
            "done stays; asked for again, it goes on from there."
        )
    if operation.can_be_undone:
        return "Cancelled in any step, it leaves nothing."
    return "Cancelled, what was done stays: read the instance. Asked for again, it goes on from there."


def _row(step: Step[Any, Any]) -> str:
    undo = "" if step.undo is None else step.undo.__name__.replace("_", " ")
    return f"| `{step.name}` | {undo} |"
