"""Which of a doorbell's words about itself are worth waking its owner's pages for."""

import msgspec
import pytest

from firmware.protocol.events import Health
from relay.ingest.health import is_news

WELL = Health(
    measured_ms=1,
    camera="working",
    fps_milli=30_000,
    max_fps=30,
    temperature_milli_c=60_000,
    has_weak_power=False,
    had_weak_power=False,
    is_throttled=False,
    card_free_bytes=10_000_000_000,
    card_total_bytes=32_000_000_000,
    sync_p99_ms=40,
    signal_dbm=-60,
    is_clock_trusted=True,
    memory_free_bytes=100_000_000,
    clip_count=3,
    oldest_clip_ms=1,
    pre_roll_ms=6_700,
    pre_roll_set_ms=6_000,
)


def after(**changes: object) -> Health:
    return msgspec.structs.replace(WELL, **changes)


def test_the_first_word_is_news():
    assert is_news(None, WELL)


@pytest.mark.parametrize(
    "changes",
    [
        {"camera": "missing"},
        {"max_fps": 15},
        {"temperature_milli_c": 76_000},
        {"temperature_milli_c": None},
        {"has_weak_power": True},
        {"had_weak_power": True},
        {"is_throttled": True},
        {"card_free_bytes": 1_000_000_000},
        {"sync_p99_ms": 900},
        {"signal_dbm": -85},
        {"is_clock_trusted": False},
        {"pre_roll_ms": 4_700},
    ],
    ids=str,
)
def test_what_changes_a_sentence_is_news(changes: dict[str, object]):
    assert is_news(WELL, after(**changes))


def test_figures_that_always_move_a_little_are_none():
    later = after(
        measured_ms=60_001,
        fps_milli=29_800,
        temperature_milli_c=60_900,
        card_free_bytes=9_999_000_000,
        sync_p99_ms=55,
        signal_dbm=-62,
        memory_free_bytes=90_000_000,
        clip_count=4,
    )
    assert not is_news(WELL, later)
