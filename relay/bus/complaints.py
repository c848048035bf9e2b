"""Warnings about a broker that is away: each text at most once in SAY_S seconds."""

import logging
import time

SAY_S = 5.0
MOST_TEXTS = 100


class Complaints:
    """A log's warnings, thinned out: what is tried again and again fails in the same words."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._said_at: dict[str, float] = {}

    def say(self, text: str) -> None:
        """Log `text` as a warning, unless it was logged a moment ago."""
        now = time.monotonic()
        if now - self._said_at.get(text, -SAY_S) < SAY_S:
            return
        if len(self._said_at) >= MOST_TEXTS:
            self._said_at.clear()
        self._said_at[text] = now
        self._log.warning("%s", text)
