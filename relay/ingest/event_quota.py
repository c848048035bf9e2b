"""The allowance of one doorbell's events, bytes and pushes: token buckets.

An honest doorbell stays far below it, also when it tells what it kept for a month. A hostile one
can neither fill the database quickly nor flood its owners. In memory, per relay: after a
restart, or by another replica, it gets a new one.
"""

from collections.abc import Callable
from dataclasses import dataclass

EVENTS_AT_ONCE = 5_000
EVENTS_A_S = 1.0
PUSHES_AT_ONCE = 60
PUSHES_A_S = 1 / 20
BYTES_AT_ONCE = 64 * 1024 * 1024
BYTES_A_S = 1024.0
"""A day's pictures and the notes of 16 browsers are about 30 MB; this gives 88 MB."""


@dataclass(slots=True)
class Bucket:
    """A token bucket: `at_once` in a row, and `a_s` more each second."""

    at_once: float
    a_s: float
    spent: float = 0.0
    at_s: float = 0.0

    def has(self, amount: float, now_s: float) -> bool:
        """Return whether that much is left."""
        self.spent = max(0.0, self.spent - (now_s - self.at_s) * self.a_s)
        self.at_s = now_s
        return self.spent + amount <= self.at_once


@dataclass(slots=True, kw_only=True)
class _Allowance:
    events: Bucket
    size_bytes: Bucket
    pushes: Bucket


class EventQuota:
    """Counts what each doorbell has committed. Bounded by the number of enrolled doorbells."""

    def __init__(
        self, *, monotonic_s: Callable[[], float], bytes_at_once: int = BYTES_AT_ONCE
    ) -> None:
        self._monotonic_s = monotonic_s
        self._bytes_at_once = bytes_at_once
        self._allowances: dict[str, _Allowance] = {}

    def take(self, device: str, size_bytes: int) -> bool:
        """Count one more event; False, and nothing counted, if the allowance is used up."""
        own, now_s = self._of(device), self._monotonic_s()
        if not own.events.has(1, now_s) or not own.size_bytes.has(size_bytes, now_s):
            return False
        own.events.spent += 1
        own.size_bytes.spent += size_bytes
        return True

    def take_push(self, device: str) -> bool:
        """Count one more push; False, and nothing counted, if the allowance is used up."""
        pushes = self._of(device).pushes
        if not pushes.has(1, self._monotonic_s()):
            return False
        pushes.spent += 1
        return True

    def _of(self, device: str) -> _Allowance:
        known = self._allowances.get(device)
        if known is None:
            known = self._allowances[device] = _Allowance(
                events=Bucket(EVENTS_AT_ONCE, EVENTS_A_S),
                size_bytes=Bucket(self._bytes_at_once, BYTES_A_S),
                pushes=Bucket(PUSHES_AT_ONCE, PUSHES_A_S),
            )
        return known
