"""Rate-limited log warning, so that a flood from the peer writes only a few lines."""

import logging


class RareWarning:
    """Logs a warning at its 1st, 2nd, 4th, 8th … occurrence, with the count as its last value."""

    def __init__(self, log: logging.Logger, text: str) -> None:
        self._log = log
        self._text = text
        self._count = 0

    def happened(self, *values: object) -> None:
        """Count an occurrence, and log it if it is due."""
        self._count += 1
        if self._count.bit_count() == 1:
            self._log.warning(self._text, *values, self._count)
