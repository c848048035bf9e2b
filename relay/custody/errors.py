"""What can be wrong with a log.

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
    """What was to be logged isn't in a witnessed checkpoint yet; it stays on its way."""


class KeyTaken(LogError):
    """Under one key there is one entry, and this is another one."""


class LogContradicts(LogError):
    """The database and what was published tell different stories; the text says which."""


def contradiction_in(group: BaseExceptionGroup[BaseException]) -> LogContradicts | None:
    """Return the first contradiction among what tasks raised."""
    for error in group.exceptions:
        if isinstance(error, LogContradicts):
            return error
        if isinstance(error, BaseExceptionGroup) and (found := contradiction_in(error)):
            return found
    return None
