"""Errors of the monitor: unreadable or dishonest logs.

MonitorError
├── LogUnreadable     it can't be fetched, or isn't in the format; says nothing about its honesty
└── LogDishonest      what was served contradicts itself, its witnesses, or what was seen before
"""


class MonitorError(Exception):
    """Base of the monitor's errors; the text is one sentence for people."""


class LogUnreadable(MonitorError):
    """A log can't be fetched or read."""


class LogDishonest(MonitorError):
    """A log has shown two different histories (a split view or a rewrite).

    `proof` are the notes that contradict each other, for whoever wants to show them.
    """

    def __init__(self, text: str, *, proof: tuple[bytes, ...] = ()) -> None:
        super().__init__(text)
        self.proof = proof
