"""The order of one doorbell's events: an event waits for the missing ones before it.

The broker gives again, after a while, what a relay took and didn't finish; without this, later
events would be committed first. A gap is waited for by at most GAP_PATIENCE_S, since a number
may be gone for good (a card put back from a backup). A doorbell can delay only itself.
"""

from collections.abc import Callable

GAP_PATIENCE_S = 45.0


class EventOrder:
    """Decides for each doorbell which event may be committed next. In memory, per relay."""

    def __init__(self, *, monotonic_s: Callable[[], float]) -> None:
        self._monotonic_s = monotonic_s
        self._gaps: dict[str, tuple[float, float]] = {}
        """Since when, and when last, a doorbell's event waited for one before it."""

    def must_wait(self, device: str, seq: int, *, last_seq: int) -> bool:
        """Return whether `seq` must wait for an event between it and the last committed one."""
        if seq <= last_seq + 1:
            self._gaps.pop(device, None)
            return False
        now_s = self._monotonic_s()
        since_s, asked_s = self._gaps.get(device, (now_s, now_s))
        if now_s - asked_s >= GAP_PATIENCE_S:  # another process had the doorbell meanwhile
            since_s = now_s
        self._gaps[device] = (since_s, now_s)
        return now_s - since_s < GAP_PATIENCE_S
