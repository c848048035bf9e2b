"""Errors of changing networks.

WifiError
├── ServiceUnreachable       there is no helper with the rights to change networks
└── NotJoined           the network wasn't joined: why, in a word of `NotJoinedReason`
"""

from typing import Literal

from firmware.errors import DoorwardError

NotJoinedReason = Literal["wrong_password", "not_found", "failed"]


class WifiError(DoorwardError):
    """Base of the errors of changing networks."""


class ServiceUnreachable(WifiError):
    """There is no helper that may change networks, or it doesn't answer."""


class NotJoined(WifiError):
    """The network wasn't joined."""

    def __init__(self, reason: NotJoinedReason, detail: str) -> None:
        super().__init__(detail)
        self.reason: NotJoinedReason = reason
