"""Token bucket: limits what a peer may cause; it refills with time."""


class Budget:
    """At most `most` at once, and `per_s` a second in the long run. Pure: time is passed in."""

    def __init__(self, *, most: float, per_s: float) -> None:
        self._most = self._left = most
        self._per_s = per_s
        self._last_s: float | None = None

    def take(self, now_s: float, amount: float = 1) -> bool:
        """Spend this much and return True, or spend nothing if there isn't enough left."""
        if self._last_s is not None:
            self._left = min(self._most, self._left + (now_s - self._last_s) * self._per_s)
        self._last_s = now_s
        if self._left < amount:
            return False
        self._left -= amount
        return True
