"""The owner's time of day, in their own time zone: quiet hours, and the daily summary's moment.

Daylight saving: quiet hours go by the clock on the wall. A moment that a day skips comes as much
later as the clocks were put forward; one that a day has twice comes the first time.
"""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from firmware.protocol.encoding import WireError
from firmware.protocol.live import DailyTime, QuietHours


def check_time_zone(name: str) -> None:
    """Raise WireError for a time zone that this doorbell doesn't know."""
    _zone(name)


def is_quiet(quiet: QuietHours | None, wall_ms: int) -> bool:
    """Return whether this moment lies in the quiet hours; from a to a is a whole day."""
    if quiet is None:
        return False
    local = datetime.fromtimestamp(wall_ms / 1000, UTC).astimezone(_zone(quiet.time_zone))
    minute = local.hour * 60 + local.minute
    if quiet.from_minute < quiet.to_minute:
        return quiet.from_minute <= minute < quiet.to_minute
    return minute >= quiet.from_minute or minute < quiet.to_minute


def next_moment_ms(daily: DailyTime, after_ms: int) -> int:
    """Return the first such moment later than `after_ms`."""
    zone = _zone(daily.time_zone)
    day = datetime.fromtimestamp(after_ms / 1000, UTC).astimezone(zone).date() - timedelta(days=1)
    while True:
        hour, minute = divmod(daily.minute, 60)
        moment = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)
        moment_ms = round(moment.timestamp() * 1000)
        if moment_ms > after_ms:
            return moment_ms
        day += timedelta(days=1)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:  # not found, a folder, or no such file
        raise WireError(f"this doorbell doesn't know the time zone {name}") from error
