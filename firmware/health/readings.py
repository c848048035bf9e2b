"""Readings of the board's sensors: the interface between the doorbell and its machine.

Only plain facts belong here; conclusions from them are in `ladder`, `troubles` and `monitor`.
A fact that a machine can't know is None, never a guess.
"""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Throttling:
    """The bits of `vcgencmd get_throttled` (Raspberry Pi documentation, "vcgencmd").

    Bits 0 to 3 are about this moment, 16 to 19 about the time since the board started: power
    too weak, clock capped, throttled, soft temperature limit. The kernel's own voltage monitor
    clears the upper ones, so whoever wants to know "since the start" must remember.
    """

    bits: int

    @property
    def has_weak_power(self) -> bool:
        """The supply is below about 4.63 V now."""
        return bool(self.bits & 1 << 0)

    @property
    def had_weak_power(self) -> bool:
        """The supply was below about 4.63 V at some time since the start."""
        return bool(self.bits & (1 << 0 | 1 << 16))

    @property
    def is_throttled(self) -> bool:
        """The processor is slowed down now, for any reason."""
        return bool(self.bits & (1 << 1 | 1 << 2 | 1 << 3))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """All facts read at one time; None: not known on this machine."""

    temperature_milli_c: int | None = None
    throttling: Throttling | None = None
    card_free_bytes: int | None = None
    card_total_bytes: int | None = None
    signal_dbm: int | None = None
    memory_free_bytes: int | None = None


class BoardReadings(Protocol):
    """Source of readings."""

    def read(self) -> Reading:
        """Look now; may take some milliseconds, never raises. Call it in a thread."""
        ...
