"""Texts of wall times."""

from datetime import UTC, datetime


def moment(wall_ms: int) -> str:
    """Return a wall time to the second, in UTC."""
    return f"{datetime.fromtimestamp(wall_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def exact_moment(wall_ms: int) -> str:
    """Return a wall time to the millisecond, in UTC."""
    seconds, ms = divmod(wall_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}.{ms:03d} UTC"
