"""The machine's own clock."""

import time

from firmware.clock import SystemClock, is_kernel_clock_synchronised


def test_wall_time_is_in_milliseconds_since_the_epoch() -> None:
    assert abs(SystemClock().wall_ms() - time.time() * 1000) < 1000


def test_monotonic_time_is_the_kernels() -> None:
    before_ns = time.monotonic_ns()
    assert before_ns <= SystemClock().monotonic_ns() <= time.monotonic_ns()


def test_an_unsynchronised_clock_is_trusted_only_if_somebody_vouches_for_it() -> None:
    assert SystemClock().is_trusted() == is_kernel_clock_synchronised()
    assert SystemClock(is_host_time_trusted=True).is_trusted()
