"""What must survive a kill: requests, saga steps, answers, events. `service` opens it; see `journal.py`."""

from agent.journal.journal import Journal
from agent.journal.lock import StateDirLock
from agent.journal.records import (
    UNFINISHED,
    Acceptance,
    Accepted,
    Address,
    Answer,
    Caller,
    Different,
    EventRecord,
    NewEvent,
    NewOperation,
    OperationRecord,
    OutgoingReply,
    Repeated,
    Status,
    StepRecord,
)
from agent.journal.refusal import StartRefused
from agent.journal.sealing import KeyFile

__all__ = [
    "UNFINISHED",
    "Acceptance",
    "Accepted",
    "Address",
    "Answer",
    "Caller",
    "Different",
    "EventRecord",
    "Journal",
    "KeyFile",
    "NewEvent",
    "NewOperation",
    "OperationRecord",
    "OutgoingReply",
    "Repeated",
    "StartRefused",
    "StateDirLock",
    "Status",
    "StepRecord",
]
