"""Words for the time until something is due, or since it is overdue."""

from relay.web.i18n import Texts

HOUR_MS = 3600 * 1000
DAY_MS = 24 * HOUR_MS


def due_words(texts: Texts, due_ms: int, *, now_ms: int) -> str:
    """Return the days or hours that are left, rounded down, or the days since."""
    left_ms = due_ms - now_ms
    if left_ms < 0:
        return _counted(texts, "due.late_day", -left_ms // DAY_MS, none="due.late_today")
    if left_ms < DAY_MS:
        return _counted(texts, "due.hour", left_ms // HOUR_MS, none="due.soon")
    return _counted(texts, "due.day", left_ms // DAY_MS, none="due.soon")


def _counted(texts: Texts, key: str, count: int, *, none: str) -> str:
    """Return a text for none, one or several."""
    if count == 0:
        return texts(none)
    return texts(key) if count == 1 else texts(f"{key}s", count=count)
