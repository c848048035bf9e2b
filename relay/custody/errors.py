"""Errors of the public logs.

RelayError
└── LogError             a log can't be used as it is
    ├── LogUnavailable   what was to be logged isn't witnessed yet; try again later
    ├── KeyTaken         another entry was added under this key
    ├── LogContradicts   going on would show the world two histories; nothing is signed any more
    ├── TextNotAgreed    an agreement's stored text isn't the one that the register names
    └── PolicyUnbound    the policy to be served doesn't name this register's charter
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


class TextNotAgreed(LogError):
    """An agreement's stored text isn't the one with the register's SHA-256, or is missing.

    It isn't shown, and its agency can't ask, until `doorward-relay admin restore-text` mends it.
    """

    def __init__(self, sha256: str, *, found: str | None) -> None:
        what = (
            f"is missing: the register names the text with SHA-256 {sha256}"
            if found is None
            else "isn't the one that was signed: the register names the text with SHA-256 "
            f"{sha256}, the stored one has {found}"
        )
        super().__init__(f"the agreement's text {what}")
        self.sha256 = sha256
        self.found = found


class PolicyUnbound(LogError):
    """The policy isn't served, since it doesn't name the charter that the register begins with."""


def contradiction_in(group: BaseExceptionGroup[BaseException]) -> LogContradicts | None:
    """Return the first LogContradicts among the tasks' exceptions."""
    for error in group.exceptions:
        if isinstance(error, LogContradicts):
            return error
        if isinstance(error, BaseExceptionGroup) and (found := contradiction_in(error)):
            return found
    return None
