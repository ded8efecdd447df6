"""What stops the agent before it has begun. Raised by the journal's parts, told to the operator by `service`."""


class StartRefused(Exception):
    """The agent must not start like this; the message says what was found and what to do about it."""


class NoRoom(StartRefused):
    """The disk is full: it may begin as soon as there is room."""
