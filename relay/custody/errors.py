"""Errors of the public logs.

RelayError
└── LogError             a log can't be used as it is
    ├── LogUnavailable   what was to be logged isn't witnessed yet; try again later
    ├── KeyTaken         another entry was added under this key
    └── LogContradicts   going on would show the world two histories; nothing is signed any more
"""

from relay.errors import RelayError


class LogError(RelayError):
    """A log can't be used as it is; the text says what to do."""


class LogUnavailable(LogError):
    """An entry isn't in a witnessed checkpoint yet; it stays queued."""


class KeyTaken(LogError):
    """Another entry was already added under the same key."""


class LogContradicts(LogError):
    """The database and the published log contradict each other; the text says how."""


def contradiction_in(group: BaseExceptionGroup[BaseException]) -> LogContradicts | None:
    """Return the first LogContradicts among the tasks' exceptions."""
    for error in group.exceptions:
        if isinstance(error, LogContradicts):
            return error
        if isinstance(error, BaseExceptionGroup) and (found := contradiction_in(error)):
            return found
    return None
