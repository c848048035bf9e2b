"""Simulated clock of a doorbell in an example town, which may run ahead of the machine's own.

Only the kernel's wall time is shifted; firmware/system/clock.py judges it as any other, so a leap
settles late and nothing is deleted by it. A doorbell whose policy names any log but an example's
refuses to start with such a clock (`kernel_of`): a shift elsewhere, at the relay or in this file,
makes nothing count earlier there.
"""

from firmware.config.settings import Config
from firmware.enrolment.shard_policy import policy_in_force
from firmware.errors import ConfigError
from firmware.protocol.encoding import WireError
from firmware.protocol.town_clock import Winding, check_is_example
from firmware.system.clock import Kernel, LinuxKernel
from firmware.transparency.policy_file import load_logs_if_any


class SimulatedKernel:
    """Implements `Kernel`: another kernel's clocks, with the wall time shifted ahead."""

    def __init__(self, kernel: Kernel, winding: Winding) -> None:
        self._kernel = kernel
        self._winding = winding

    def wall_ms(self) -> int:
        """Return the town's time in milliseconds."""
        return self._kernel.wall_ms() + self._winding.offset_ms()

    def monotonic_ns(self) -> int:
        """Return CLOCK_MONOTONIC in nanoseconds: it isn't shifted."""
        return self._kernel.monotonic_ns()

    def synchronised_ms(self) -> int | None:
        """Return the town's time at which NTP last set the machine's clock."""
        return self._ahead(self._kernel.synchronised_ms())

    def boot_id(self) -> str:
        """Return the kernel's random id of this boot."""
        return self._kernel.boot_id()

    def rtc_ms(self) -> int | None:
        """Return the real-time clock as it would be in the town."""
        return self._ahead(self._kernel.rtc_ms())

    def _ahead(self, time_ms: int | None) -> int | None:
        return None if time_ms is None else time_ms + self._winding.offset_ms()


def kernel_of(config: Config) -> Kernel:
    """Return the kernel whose clocks a doorbell uses, or raise ConfigError, StoreError."""
    path = config.clock.example_path
    if path is None:
        return LinuxKernel()
    logs = load_logs_if_any(policy_in_force(config))
    try:
        check_is_example([] if logs is None else [logs.register_origin, logs.custody_origin])
        winding = Winding(path)
    except (WireError, OSError) as error:
        raise ConfigError("clock.example_file", str(path), f'"" ({error})') from error
    return SimulatedKernel(LinuxKernel(), winding)
