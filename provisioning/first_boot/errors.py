"""Errors of a first boot: each has a code for programs and a text that says what to do.

FirstBootError
├── CommandFailed     a program of the system failed
├── DocumentRefused   a file isn't what it must be
└── StepFailed        a step can't be done now
"""

import errno
import os

CARD_TROUBLES = {
    errno.ENOSPC: "card_full",
    errno.EDQUOT: "card_full",
    errno.EROFS: "card_read_only",
    errno.EIO: "card_failing",
}
"""What the kernel answers when the card takes nothing more, and our codes for it."""


def card_trouble(message: str) -> str | None:
    """Return the code of what a program complains of the card, if it does."""
    for number, code in CARD_TROUBLES.items():
        if os.strerror(number) in message:
            return code
    return None


class FirstBootError(Exception):
    """The root of a first boot's errors."""


class CommandFailed(FirstBootError):
    """A program of the system failed."""

    def __init__(self, program: str, message: str) -> None:
        super().__init__(f"{program}: {message}")
        self.program = program
        self.message = message


class DocumentRefused(FirstBootError):
    """A file isn't what it must be; the text says where, and never repeats a secret."""


class StepFailed(FirstBootError):
    """A step can't be done now; `code` names the reason, `will_retry` whether waiting may help."""

    def __init__(self, code: str, text: str, *, will_retry: bool) -> None:
        super().__init__(text)
        self.code = code
        self.will_retry = will_retry
