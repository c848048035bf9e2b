"""What a flood from the other side may put into the log: a few lines."""

import logging


class RareWarning:
    """Logs what happens at its 1st, 2nd, 4th, 8th … time, with the count as its last value."""

    def __init__(self, log: logging.Logger, text: str) -> None:
        self._log = log
        self._text = text
        self._count = 0

    def happened(self, *values: object) -> None:
        """Count once more, and log if it is time to."""
        self._count += 1
        if self._count.bit_count() == 1:
            self._log.warning(self._text, *values, self._count)
