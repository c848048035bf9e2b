"""What the check page measures: sharpness, loudness, the card's speed; and how it judges them."""

import errno
import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from firmware.capture.sharpness import sharpness
from firmware.health.readings import Reading, Throttling
from firmware.health.storage_speed import PIECE_BYTES, PIECES, StorageSpeed, measure_storage
from firmware.local_page.check_results import (
    CheckFacts,
    CheckId,
    CheckResult,
    Mark,
    PictureFacts,
    SoundFacts,
    results,
)
from firmware.local_page.texts import LANGUAGES, catalog
from firmware.sound.frames import SAMPLE_RATE
from firmware.sound.sound_level import QUIETEST_DBFS, SoundLevel
from firmware.sound.sounds import rising_notes
from tests.fakes.check_page import picture
from tests.fakes.sound import tone

FACTS = CheckFacts(picture=PictureFacts(state="working", model="imx708", width=1280, height=720))
LENS = PictureFacts(state="working", sharpness=300, best_sharpness=310)
CARD = SoundFacts(has_card=True, level_dbfs=-50.0, highest_dbfs=-50.0)


def judged(facts: CheckFacts, check: CheckId) -> CheckResult:
    return next(one for one in results(facts) if one.check == check)


# --- sharpness ---


def test_narrower_stripes_are_sharper_and_a_plain_wall_is_not_sharp() -> None:
    figures = [sharpness(picture(0, stripe=stripe)) for stripe in (0, 8, 4, 2, 1)]

    assert figures[0] == 0
    assert figures == sorted(figures)
    assert len(set(figures)) == len(figures)


def test_only_the_middle_of_the_picture_counts() -> None:
    plain, fine = picture(0, stripe=0), picture(0, stripe=1)
    width, top = plain.width, plain.height // 4 - 1
    rim = fine.data[: top * width] + plain.data[top * width :]

    assert sharpness(replace(plain, data=rim)) == 0


def test_the_smallest_picture_has_a_figure() -> None:
    assert sharpness(picture(0, size=(2, 2))) == 0


# --- loudness ---


@pytest.mark.parametrize(("level", "dbfs"), [(1.0, 0), (0.5, -6), (0.1, -20), (0.01, -40)])
def test_the_level_is_the_peak_in_decibels(level: float, dbfs: int) -> None:
    measured = SoundLevel()
    measured.take(tone(1000, 960, level=level))

    assert measured.now_dbfs == pytest.approx(dbfs, abs=0.2)


def test_the_level_rises_at_once_and_falls_slowly_and_the_highest_stays() -> None:
    measured = SoundLevel()
    measured.take(bytes(1920))
    assert measured.now_dbfs == QUIETEST_DBFS
    levels = []
    for block in (tone(1000, 960, level=0.5), bytes(1920), bytes(1920)):
        measured.take(block)
        levels.append(measured.now_dbfs)

    assert levels == pytest.approx([-6, -7.5, -9], abs=0.2)
    assert measured.highest_dbfs == pytest.approx(-6, abs=0.2)


def test_the_loudest_negative_sample_is_full_scale() -> None:
    measured = SoundLevel()
    measured.take(b"\x00\x80" * 960)

    assert measured.now_dbfs == 0


def test_the_notes_are_a_second_long_and_never_clip() -> None:
    samples = rising_notes().samples
    loudest = SoundLevel()
    loudest.take(samples)

    assert len(samples) == round(0.9 * SAMPLE_RATE) * 2
    assert loudest.now_dbfs == pytest.approx(-6.2, abs=0.3)
    assert samples[:2] == b"\x00\x00"


# --- the card ---


def test_the_card_is_measured_by_the_clock_and_left_as_it_was(tmp_path: Path) -> None:
    times = itertools.count(0, 50_000_000)  # each piece takes 50 ms
    speed = measure_storage(tmp_path, monotonic_ns=lambda: next(times))

    assert speed == StorageSpeed(bytes_per_s=PIECE_BYTES * 20, slowest_ms=50)
    assert PIECE_BYTES * PIECES == 4 * 1024 * 1024
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_a_power_cut_left_is_measured_over(tmp_path: Path) -> None:
    (tmp_path / "storage-speed.tmp").write_bytes(b"half")

    assert measure_storage(tmp_path).bytes_per_s > 0
    assert list(tmp_path.iterdir()) == []


def test_a_card_that_takes_nothing_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    full = iter([0, 1])

    def clock() -> int:
        try:
            return next(full)
        except StopIteration:
            raise OSError(errno.ENOSPC, "no space") from None

    with pytest.raises(OSError, match="no space"):
        measure_storage(tmp_path, monotonic_ns=clock)
    assert list(tmp_path.iterdir()) == []


# --- judgements ---


@pytest.mark.parametrize(
    ("changed", "check", "mark"),
    [
        ({"picture": PictureFacts(state="starting")}, "picture", "look"),
        ({"picture": PictureFacts(state="missing")}, "picture", "fail"),
        ({"picture": LENS}, "focus", "todo"),
        ({"picture": LENS, "answers": {"focus": True}}, "focus", "pass"),
        ({"picture": LENS, "answers": {"focus": False}}, "focus", "fail"),
        (
            {"picture": replace(LENS, best_sharpness=900), "answers": {"focus": True}},
            "focus",
            "look",
        ),
        ({"presses": 2}, "button", "pass"),
        ({"tried": frozenset({"chime"}), "answers": {"chime": True}}, "chime", "pass"),
        ({"answers": {"chime": True}}, "chime", "todo"),
        ({"answers": {"light": False}}, "light", "fail"),
        ({}, "speaker", "none"),
        ({"sound": CARD}, "speaker", "todo"),
        ({"sound": replace(CARD, speaker_trouble="gone")}, "speaker", "fail"),
        ({"sound": SoundFacts(has_card=True)}, "microphone", "todo"),
        ({"sound": CARD}, "microphone", "todo"),
        ({"sound": replace(CARD, highest_dbfs=-20.0)}, "microphone", "pass"),
        ({"sound": replace(CARD, microphone_trouble="gone")}, "microphone", "fail"),
        ({}, "clock", "look"),
        ({"is_clock_trusted": True, "off_ms": -59_000}, "clock", "pass"),
        ({"is_clock_trusted": True, "off_ms": 61_000}, "clock", "look"),
        ({}, "card", "todo"),
        ({"has_card_failed": True}, "card", "fail"),
        ({"card_speed": StorageSpeed(bytes_per_s=9_000_000, slowest_ms=90)}, "card", "pass"),
        ({"card_speed": StorageSpeed(bytes_per_s=9_000_000, slowest_ms=1_200)}, "card", "look"),
        ({"card_speed": StorageSpeed(bytes_per_s=2_000_000, slowest_ms=90)}, "card", "look"),
        ({"card_speed": StorageSpeed(bytes_per_s=900_000, slowest_ms=90)}, "card", "fail"),
        ({}, "supply", "none"),
        ({"reading": Reading(throttling=Throttling(0))}, "supply", "pass"),
        ({"reading": Reading(throttling=Throttling(0x10000))}, "supply", "look"),
        ({"reading": Reading(throttling=Throttling(0x50005))}, "supply", "fail"),
        ({}, "temperature", "none"),
        ({"reading": Reading(temperature_milli_c=70_000)}, "temperature", "look"),
        ({"reading": Reading(temperature_milli_c=82_000)}, "temperature", "fail"),
    ],
)
def test_each_part_is_judged_by_its_facts(
    changed: dict[str, object], check: CheckId, mark: Mark
) -> None:
    found = judged(replace(FACTS, **changed), check)  # type: ignore[arg-type]

    assert found.mark == mark
    assert bool(found.does) is (mark in ("look", "fail", "todo"))
    for language in LANGUAGES:
        texts = catalog(language)
        assert "{" not in texts["check.says." + found.says].format_map(found.values)
        if found.does:
            assert texts["check.do." + found.does].format_map(found.values)


@pytest.mark.parametrize(("milli_dioptres", "shown"), [(500, 200), (8_000, 12), (0, "∞")])
def test_a_lens_that_focuses_by_itself_says_at_what_distance(
    milli_dioptres: int, shown: object
) -> None:
    lens = replace(LENS, lens_milli_dioptres=milli_dioptres)

    assert judged(replace(FACTS, picture=lens), "focus").values["lens_cm"] == shown
