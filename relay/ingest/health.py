"""Comparison of health reports: whether a new one changes an open page.

A doorbell says how it is each minute. Temperatures and free bytes always differ a little; only
what changes a sentence or a figure that people read is worth waking their pages for.
"""

from collections.abc import Callable

from firmware.protocol.events import Health

DEGREES_STEP = 5
SIGNAL_STEP_DB = 10
CARD_STEPS = 20
SYNC_STEPS_MS = (100, 500)


def is_news(before: Health | None, after: Health) -> bool:
    """Return whether `after` is displayed differently from `before`."""
    return before is None or any(look(before) != look(after) for look in _SHOWN)


def _temperature(health: Health) -> int | None:
    value = health.temperature_milli_c
    return None if value is None else round(value / 1000 / DEGREES_STEP)


def _signal(health: Health) -> int | None:
    return None if health.signal_dbm is None else round(health.signal_dbm / SIGNAL_STEP_DB)


def _card(health: Health) -> int | None:
    free, total = health.card_free_bytes, health.card_total_bytes
    return None if free is None or not total else round(CARD_STEPS * free / total)


def _sync(health: Health) -> int | None:
    value = health.sync_p99_ms
    return None if value is None else sum(value >= step for step in SYNC_STEPS_MS)


def _pre_roll(health: Health) -> int | None:
    return None if health.pre_roll_ms is None else round(health.pre_roll_ms / 1000)


_SHOWN: tuple[Callable[[Health], object], ...] = (
    lambda health: health.camera,
    lambda health: health.max_fps,
    lambda health: (health.has_weak_power, health.had_weak_power, health.is_throttled),
    lambda health: health.is_clock_trusted,
    _temperature,
    _signal,
    _card,
    _sync,
    _pre_roll,
)
