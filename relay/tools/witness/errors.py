"""Errors of a witness and of requests to it.

RelayError
└── WitnessError            the witness can't be run as it is: key, folder, settings
    └── CheckpointRefused   it won't sign this; `status` is the answer's (C2SP tlog-witness)
        └── SizeConflict    it signed another size last; `size` says which
"""

from relay.errors import RelayError


class WitnessError(RelayError):
    """The witness can't be run as it is; the text says what to do."""


class CheckpointRefused(WitnessError):
    """A checkpoint isn't signed; `status` is the HTTP status that says so."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class SizeConflict(CheckpointRefused):
    """The request's old size isn't the last signed one, which is `size`."""

    def __init__(self, size: int) -> None:
        super().__init__(409, f"the last checkpoint signed here has size {size}")
        self.size = size
