"""Quiet hours: from one minute of the day to another, in the owner's own time zone."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from firmware.protocol.encoding import WireError
from firmware.protocol.live import QuietHours


def check_quiet_hours(quiet: QuietHours) -> None:
    """Raise WireError for a time zone that this doorbell doesn't know."""
    _zone(quiet.time_zone)


def is_quiet(quiet: QuietHours | None, wall_ms: int) -> bool:
    """Return whether this moment lies in the quiet hours; from a to a is a whole day."""
    if quiet is None:
        return False
    local = datetime.fromtimestamp(wall_ms / 1000, UTC).astimezone(_zone(quiet.time_zone))
    minute = local.hour * 60 + local.minute
    if quiet.from_minute < quiet.to_minute:
        return quiet.from_minute <= minute < quiet.to_minute
    return minute >= quiet.from_minute or minute < quiet.to_minute


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:  # not found, a folder, or no such file
        raise WireError(f"this doorbell doesn't know the time zone {name}") from error
