"""Times of the day in a member's own time zone: quiet hours, and a digest's moment. Pure.

Daylight saving: quiet hours go by the clock on the wall; a moment that a day skips comes later.
"""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from firmware.protocol.live import QuietHours
from relay.feed.rules import FeedRefused


def zone_of(name: str) -> ZoneInfo:
    """Return a time zone of the IANA database. FeedRefused."""
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:  # not found, a folder, or no such file
        words = "this relay doesn't know your browser's time zone: set it to a common one"
        raise FeedRefused("time_zone", words) from error


def is_quiet(quiet: QuietHours | None, now_ms: int) -> bool:
    """Return whether a moment lies in the quiet hours; from a to a is a whole day."""
    if quiet is None:
        return False
    local = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(zone_of(quiet.time_zone))
    minute = local.hour * 60 + local.minute
    if quiet.from_minute < quiet.to_minute:
        return quiet.from_minute <= minute < quiet.to_minute
    return minute >= quiet.from_minute or minute < quiet.to_minute


def next_moment_ms(minute: int, time_zone: str, *, after_ms: int, days: int = 1) -> int:
    """Return the first such minute of a day after a time; with 7 `days`, the one six days later."""
    zone = zone_of(time_zone)
    today = datetime.fromtimestamp(after_ms / 1000, UTC).astimezone(zone).date()

    def moment_ms(later: int) -> int:
        day = today + timedelta(days=later)
        moment = datetime(day.year, day.month, day.day, *divmod(minute, 60), tzinfo=zone)
        return round(moment.timestamp() * 1000)

    first = next(later for later in range(3) if moment_ms(later) > after_ms)
    return moment_ms(first + days - 1)
