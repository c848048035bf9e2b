"""firmware.system.clock: when the wall time is believed, and what a restart must not forget."""

import os
import time
from pathlib import Path

import pytest

from firmware.system.clock import (
    RTC_TRUSTED_FOR_MS,
    SETTLING_NS,
    WITNESSES_AHEAD_MS,
    LinuxKernel,
    SystemClock,
    is_kernel_clock_synchronised,
)
from tests.fakes.board import lay_out_board
from tests.fakes.clock import ManualKernel

HOUR_MS = 3600 * 1000
DAY_MS = 24 * HOUR_MS
NOON_MS = 1_790_000_000_000


@pytest.fixture
def kept_in(tmp_path: Path) -> Path:
    return tmp_path / "clock.json"


def clock_of(kernel: ManualKernel, kept_in: Path) -> SystemClock:
    return SystemClock(kept_in=kept_in, kernel=kernel)


def set_once(kept_in: Path, wall_ms: int = NOON_MS) -> None:
    """Let a boot pass in which NTP set the clock."""
    kernel = ManualKernel(wall_ms=wall_ms, boot="earlier")
    kernel.synchronise()
    clock_of(kernel, kept_in).remember()


def test_wall_time_is_in_milliseconds_since_the_epoch() -> None:
    assert abs(SystemClock().wall_ms() - time.time() * 1000) < 1000


def test_monotonic_time_is_the_kernels() -> None:
    before_ns = time.monotonic_ns()
    assert before_ns <= SystemClock().monotonic_ns() <= time.monotonic_ns()


def test_an_unsynchronised_clock_is_trusted_only_if_somebody_vouches_for_it() -> None:
    clock = SystemClock(kernel=LinuxKernel(Path("/nowhere")))
    assert clock.is_trusted() == is_kernel_clock_synchronised()
    assert SystemClock(is_host_time_trusted=True).is_trusted()


def test_the_files_of_linux_are_read(tmp_path: Path) -> None:
    files = {
        "proc/sys/kernel/random/boot_id": "0b9c-4d\n",
        "sys/class/rtc/rtc0/since_epoch": "1790000000\n",
        "sys/class/rtc/rtc0/hctosys": "1\n",
        "run/systemd/timesync/synchronized": "",
    }
    kernel = LinuxKernel(lay_out_board(tmp_path, files))
    os.utime(tmp_path / "run/systemd/timesync/synchronized", (1_700_000_000, 1_700_000_000))
    assert kernel.boot_id() == "0b9c-4d"
    assert kernel.rtc_ms() == 1_790_000_000_000
    if not is_kernel_clock_synchronised():
        assert kernel.synchronised_ms() == 1_700_000_000_000
    (tmp_path / "sys/class/rtc/rtc0/hctosys").write_text("0\n")
    assert kernel.rtc_ms() is None


def test_a_clock_that_nobody_set_is_not_trusted(kept_in: Path) -> None:
    assert not clock_of(ManualKernel(), kept_in).is_trusted()


def test_a_clock_that_ntp_set_stays_trusted_in_this_boot(kept_in: Path) -> None:
    kernel = ManualKernel()
    clock = clock_of(kernel, kept_in)
    kernel.synchronise()
    assert clock.is_trusted()
    kernel.synchronised = None
    kernel.advance(40 * 24 * 3600)
    assert clock.is_trusted()


def test_also_after_a_restart_of_the_process_but_not_of_the_board(kept_in: Path) -> None:
    kernel = ManualKernel(boot="one")
    kernel.synchronise()
    clock_of(kernel, kept_in).remember()
    kernel.synchronised = None
    assert clock_of(kernel, kept_in).is_trusted()
    kernel.boot = "two"
    assert not clock_of(kernel, kept_in).is_trusted()


def test_a_good_real_time_clock_is_trusted_for_seven_days(kept_in: Path) -> None:
    set_once(kept_in)
    kernel = ManualKernel(wall_ms=NOON_MS + 6 * DAY_MS, boot="later")
    kernel.rtc_offset_ms = -900
    clock = clock_of(kernel, kept_in)
    assert clock.is_trusted()
    kernel.advance(RTC_TRUSTED_FOR_MS / 1000 - 6 * 24 * 3600 + 1)
    assert not clock.is_trusted()
    late = ManualKernel(wall_ms=NOON_MS + 8 * DAY_MS, boot="later")
    late.rtc_offset_ms = 0
    assert not clock_of(late, kept_in).is_trusted()


def test_a_real_time_clock_that_ntp_never_set_is_not_trusted(kept_in: Path) -> None:
    kernel = ManualKernel()
    kernel.rtc_offset_ms = 0
    assert not clock_of(kernel, kept_in).is_trusted()


def test_a_flat_real_time_clock_is_not_trusted_though_the_card_gave_a_time(kept_in: Path) -> None:
    set_once(kept_in)
    kernel = ManualKernel(wall_ms=NOON_MS + 1000, boot="later")
    kernel.rtc_offset_ms = -kernel.wall + 30_000
    assert not clock_of(kernel, kept_in).is_trusted()


def test_starting_from_the_real_time_clock_doesnt_prolong_its_week(kept_in: Path) -> None:
    set_once(kept_in)
    for day in range(1, 10):
        kernel = ManualKernel(wall_ms=NOON_MS + day * DAY_MS, boot=f"day {day}")
        kernel.rtc_offset_ms = 0
        clock = clock_of(kernel, kept_in)
        assert clock.is_trusted() == (day <= 7)
        clock.remember()


@pytest.mark.parametrize("back_ms", [3_600_000, 10 * 365 * DAY_MS])
def test_a_clock_behind_the_newest_time_it_trusted_is_not_trusted(
    kept_in: Path, back_ms: int
) -> None:
    set_once(kept_in)
    kernel = ManualKernel(wall_ms=NOON_MS - back_ms, boot="later")
    clock = clock_of(kernel, kept_in)
    kernel.synchronise()
    assert not clock.is_trusted()
    clock.remember()
    kernel.advance(back_ms / 1000)
    assert clock.is_trusted()


def test_slewing_back_by_a_second_is_no_reason_for_distrust(kept_in: Path) -> None:
    kernel = ManualKernel()
    kernel.synchronise()
    clock = clock_of(kernel, kept_in)
    clock.remember()
    kernel.wall -= 1000
    assert clock.is_trusted()


@pytest.mark.parametrize("by_ms", [-HOUR_MS, HOUR_MS, 10 * 365 * DAY_MS])
def test_a_clock_that_somebody_set_by_hand_is_not_trusted_until_ntp_sets_it_again(
    kept_in: Path, by_ms: int
) -> None:
    kernel = ManualKernel()
    clock = clock_of(kernel, kept_in)
    kernel.synchronise()
    assert clock.is_trusted()
    kernel.advance(60)
    kernel.wall += by_ms
    assert not clock.is_trusted()
    clock.remember()
    assert not clock_of(kernel, kept_in).is_trusted() or not kept_in.exists()
    kernel.wall -= by_ms
    kernel.synchronise()
    assert clock.is_trusted()


@pytest.mark.parametrize("by_ms", [-HOUR_MS, 10 * 365 * DAY_MS])
def test_a_restart_does_not_make_a_clock_that_was_set_by_hand_trusted(
    kept_in: Path, by_ms: int
) -> None:
    kernel = ManualKernel()
    kernel.synchronise()
    clock_of(kernel, kept_in).remember()
    kernel.advance(60)
    kernel.wall += by_ms
    assert not clock_of(kernel, kept_in).is_trusted()


def test_a_clock_that_ntp_steps_stays_trusted(kept_in: Path) -> None:
    kernel = ManualKernel()
    clock = clock_of(kernel, kept_in)
    kernel.synchronise()
    assert clock.is_trusted()
    kernel.wall += HOUR_MS
    kernel.synchronise()
    assert clock.is_trusted()
    assert clock.is_settled()


def test_a_leap_of_years_is_believed_but_settles_only_after_half_a_day(kept_in: Path) -> None:
    kernel = ManualKernel()
    clock = clock_of(kernel, kept_in)
    kernel.synchronise()
    clock.remember()
    kernel.wall += 10 * 365 * DAY_MS
    kernel.synchronise()
    assert clock.is_trusted()
    assert not clock.is_settled()
    kernel.advance(SETTLING_NS / 1e9)
    assert clock.is_trusted()
    assert clock.is_settled()


def test_a_lie_of_ntp_that_is_corrected_within_hours_is_forgotten(kept_in: Path) -> None:
    kernel = ManualKernel()
    clock = clock_of(kernel, kept_in)
    kernel.synchronise()
    clock.remember()
    kernel.wall += 10 * 365 * DAY_MS
    kernel.synchronise()
    clock.remember()
    kernel.advance(3600)
    clock.remember()
    kernel.wall -= 10 * 365 * DAY_MS
    kernel.synchronise()
    assert clock.is_trusted()
    assert clock.is_settled()
    assert clock_of(kernel, kept_in).is_trusted()


def test_a_doorbell_that_was_off_for_weeks_deletes_nothing_for_its_age_at_once(
    kept_in: Path,
) -> None:
    set_once(kept_in)
    kernel = ManualKernel(wall_ms=NOON_MS + 60 * DAY_MS, boot="later")
    kernel.synchronise()
    clock = clock_of(kernel, kept_in)
    assert clock.is_trusted()
    assert not clock.is_settled()


def test_a_leap_settles_also_where_somebody_else_keeps_the_time() -> None:
    kernel = ManualKernel()
    clock = SystemClock(is_host_time_trusted=True, kernel=kernel)
    assert clock.is_trusted()
    assert clock.is_settled()
    kernel.wall += 365 * DAY_MS
    assert clock.is_trusted()
    assert not clock.is_settled()


def test_an_untrusted_time_is_not_remembered(kept_in: Path) -> None:
    clock_of(ManualKernel(), kept_in).remember()
    assert not kept_in.exists()


@pytest.mark.parametrize("damage", [b"", b"{", b'{"newest_ms":-1}', b"\xff" * 20])
def test_a_damaged_memory_makes_no_time_trusted(kept_in: Path, damage: bytes) -> None:
    kept_in.write_bytes(damage)
    kernel = ManualKernel()
    kernel.rtc_offset_ms = 0
    assert not clock_of(kernel, kept_in).is_trusted()


def test_a_card_that_takes_nothing_is_no_reason_to_stop_watching_the_clock(tmp_path: Path) -> None:
    kernel = ManualKernel()
    clock = clock_of(kernel, tmp_path / "gone" / "clock.json")
    kernel.synchronise()
    clock.remember()
    assert clock.is_trusted()


def test_a_clock_behind_the_witnesses_is_not_trusted_until_it_is_set_right(
    kept_in: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kernel = ManualKernel()
    kernel.synchronise()
    clock = clock_of(kernel, kept_in)
    clock.note_witnessed(NOON_MS + WITNESSES_AHEAD_MS)
    assert clock.is_trusted()
    clock.note_witnessed(NOON_MS + HOUR_MS)
    assert not clock.is_trusted()
    assert not clock.is_settled()
    assert "3600 s behind what witnesses" in caplog.text
    kernel.wall += HOUR_MS
    kernel.synchronise()
    assert clock.is_trusted()


def test_the_witnesses_time_goes_on_by_the_monotonic_clock(kept_in: Path) -> None:
    kernel = ManualKernel()
    kernel.synchronise()
    clock = clock_of(kernel, kept_in)
    clock.note_witnessed(NOON_MS)
    kernel.advance(3600)
    assert clock.is_trusted()
    kernel.wall -= HOUR_MS
    kernel.synchronise()  # NTP lies
    assert not clock.is_trusted()


def test_an_older_word_of_the_witnesses_lowers_nothing(kept_in: Path) -> None:
    kernel = ManualKernel()
    kernel.synchronise()
    clock = clock_of(kernel, kept_in)
    clock.note_witnessed(NOON_MS + HOUR_MS)
    clock.note_witnessed(NOON_MS)
    assert not clock.is_trusted()
    kernel.advance(60)
    clock.note_witnessed(NOON_MS + HOUR_MS)
    kernel.wall = NOON_MS + HOUR_MS + 60_000
    kernel.synchronise()
    assert clock.is_trusted()


def test_whoever_vouches_for_the_time_is_held_to_the_witnesses_too() -> None:
    kernel = ManualKernel()
    clock = SystemClock(is_host_time_trusted=True, kernel=kernel)
    clock.note_witnessed(NOON_MS + HOUR_MS)
    assert not clock.is_trusted()


def test_a_clock_behind_the_witnesses_remembers_nothing(kept_in: Path) -> None:
    kernel = ManualKernel()
    kernel.synchronise()
    clock = clock_of(kernel, kept_in)
    clock.note_witnessed(NOON_MS + HOUR_MS)
    clock.remember()
    assert not kept_in.exists()
