"""All errors of the integration.

DoorwardError
├── CannotConnect   `doorward-view` doesn't answer at that address
├── NotDoorward     something else answers there, or another version
├── InvalidToken    the token isn't the one that `doorward-view` prints
└── Refused         `doorward-view` or the doorbell said no; the text is for people
"""

from homeassistant.exceptions import HomeAssistantError


class DoorwardError(HomeAssistantError):
    """Base of all."""


class CannotConnect(DoorwardError):
    """`doorward-view` gave no answer."""


class NotDoorward(DoorwardError):
    """The answer isn't `doorward-view`'s, or is of another version."""


class InvalidToken(DoorwardError):
    """The token was refused."""


class Refused(DoorwardError):
    """A request was refused; `status` is the HTTP status."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
