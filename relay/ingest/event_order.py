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
        self._gap_since_s: dict[str, float] = {}

    def must_wait(self, device: str, seq: int, *, last_seq: int) -> bool:
        """Return whether `seq` must wait for an event between it and the last committed one."""
        if seq <= last_seq + 1:
            self._gap_since_s.pop(device, None)
            return False
        since_s = self._gap_since_s.setdefault(device, self._monotonic_s())
        return self._monotonic_s() - since_s < GAP_PATIENCE_S
