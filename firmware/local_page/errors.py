"""Errors of the doorbell's own page.

DoorError
└── PortTaken   the page can't listen at its configured address
"""

from firmware.errors import DoorwardError


class DoorError(DoorwardError):
    """Base of the page's errors."""


class PortTaken(DoorError):
    """The address is in use or isn't this machine's."""

    def __init__(self, host: str, port: int, cause: OSError) -> None:
        super().__init__(
            f"the door page can't listen on {host}:{port} ({cause.strerror or cause}); "
            "choose another [door] listen_host or listen_port"
        )
        self.host = host
        self.port = port
