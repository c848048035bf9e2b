"""Errors of the doorbell's own page.

DoorError
└── PortTaken   the page can't listen where it is told to
"""

from firmware.errors import DoorwardError


class DoorError(DoorwardError):
    """The doorbell's own page can't do what it should."""


class PortTaken(DoorError):
    """The address is in use or isn't this machine's."""

    def __init__(self, host: str, port: int, cause: OSError) -> None:
        super().__init__(
            f"the door page can't listen on {host}:{port} ({cause.strerror or cause}); "
            "choose another [door] listen_host or listen_port"
        )
        self.host = host
        self.port = port
