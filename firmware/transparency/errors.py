"""Errors of following.

FollowError
├── LogUnreachable             it can't be reached just now: later again
├── LogUnreadable       what is served isn't the log that the checkpoint speaks of
└── LogContradicts      witnesses signed another log than the one that was read before
"""

from firmware.errors import DoorwardError
from firmware.protocol.tlog.policy import Witnessed


class FollowError(DoorwardError):
    """The register couldn't be read any further; what was read before still counts."""


class LogUnreachable(FollowError):
    """The log's files can't be fetched just now."""


class LogUnreadable(FollowError):
    """The files that are served don't fit together, or are larger than they may be."""


class LogContradicts(FollowError):
    """The register contradicts itself: `known` and `other` can't both be true."""

    def __init__(self, known: Witnessed, other: Witnessed) -> None:
        super().__init__(
            f"the register contradicts itself: a checkpoint of {other.checkpoint.size} entries "
            f"isn't of the log whose {known.checkpoint.size} entries were read before"
        )
        self.known = known
        self.other = other
