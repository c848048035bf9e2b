"""The allowance of one doorbell's events, bytes and pushes: token buckets.

An honest doorbell stays far below it, also when it tells what it kept for a month. A hostile one
can neither fill the database quickly nor flood its owners. In memory, per relay: after a
restart, or by another replica, it gets a new one.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from relay.base.allowances import Bucket, Rate

EVENTS = Rate(at_once=5_000, each_s=1.0)
PUSHES = Rate(at_once=60, each_s=20.0)
BYTES = Rate(at_once=64 * 1024 * 1024, each_s=1 / 1024)
"""A day's pictures and the notes of 16 browsers are about 30 MB; this gives 88 MB."""


@dataclass(slots=True)
class _Allowance:
    events: Bucket = field(default_factory=Bucket)
    size_bytes: Bucket = field(default_factory=Bucket)
    pushes: Bucket = field(default_factory=Bucket)


class EventQuota:
    """Counts what each doorbell has committed. Bounded by the number of enrolled doorbells."""

    def __init__(self, *, monotonic_s: Callable[[], float], size_bytes: Rate = BYTES) -> None:
        self._monotonic_s = monotonic_s
        self._size_bytes = size_bytes
        self._allowances: dict[str, _Allowance] = {}
        self._taken: list[tuple[Bucket, float]] = []

    @contextmanager
    def unless_it_fails(self) -> Iterator[None]:
        """Give back what is taken in the block if it raises: none of it was committed.

        One block at a time, as batches are committed.
        """
        self._taken.clear()
        try:
            yield
        except BaseException:
            for bucket, amount in self._taken:
                bucket.spent = max(0.0, bucket.spent - amount)
            raise
        finally:
            self._taken.clear()

    def take(self, device: str, size_bytes: int) -> bool:
        """Count one more event; False, and nothing counted, if the allowance is used up."""
        own, now_s = self._of(device), self._monotonic_s()
        if own.events.wait_s(1, EVENTS, now_s) > 0:
            return False
        if own.size_bytes.wait_s(size_bytes, self._size_bytes, now_s) > 0:
            return False
        self._spend(own.events, 1)
        self._spend(own.size_bytes, size_bytes)
        return True

    def take_push(self, device: str) -> bool:
        """Count one more push; False, and nothing counted, if the allowance is used up."""
        pushes = self._of(device).pushes
        if pushes.wait_s(1, PUSHES, self._monotonic_s()) > 0:
            return False
        self._spend(pushes, 1)
        return True

    def _spend(self, bucket: Bucket, amount: float) -> None:
        bucket.spent += amount
        self._taken.append((bucket, amount))

    def _of(self, device: str) -> _Allowance:
        return self._allowances.setdefault(device, _Allowance())
