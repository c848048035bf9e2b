"""Texts of times and durations, in UTC."""

from datetime import UTC, datetime

MINUTE_MS = 60 * 1000
HOUR_MS = 60 * MINUTE_MS


def time_text(time_ms: int) -> str:
    """Return a wall time as text, to the minute."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def span_text(span_ms: int) -> str:
    """Return a duration as text, in hours and minutes."""
    return f"{span_ms // HOUR_MS} h {span_ms % HOUR_MS // MINUTE_MS} min"
