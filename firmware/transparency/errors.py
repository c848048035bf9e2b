"""Errors of following the public logs.

FollowError
├── LogUnreachable      the log's files can't be fetched now: tried again later
├── LogUnreadable       the files don't match the checkpoint, or are too large
└── LogContradicts      witnesses signed another log than the one that was read before
"""

from firmware.errors import DoorwardError
from firmware.protocol.tlog.policy import Witnessed


class FollowError(DoorwardError):
    """The register couldn't be read any further; the entries read before still count."""


class LogUnreachable(FollowError):
    """The log's files can't be fetched just now."""


class LogUnreadable(FollowError):
    """The served files don't fit together, or are larger than they may be."""


class LogContradicts(FollowError):
    """The register contradicts itself: `known` and `other` can't both be true."""

    def __init__(self, known: Witnessed, other: Witnessed) -> None:
        super().__init__(
            f"the register contradicts itself: a checkpoint of {other.checkpoint.size} entries "
            f"isn't of the log whose {known.checkpoint.size} entries were read before"
        )
        self.known = known
        self.other = other
