"""A bounded queue on the loop for one reader, an async iterator.

Handing on and taking both happen on the loop, so there is no lock. What becomes of something new
while the queue is full is each kind of queue's own rule, written at its `offer`.
"""

import asyncio
from collections import deque
from typing import Generic, Self, TypeVar

T = TypeVar("T")


class LoopQueue(Generic[T]):
    """At most `max_items` for one reader, until it is closed; close it, or use it by `with`.

    Each kind of queue says in `_leave` whom it leaves when it is closed.
    """

    def __init__(self, max_items: int) -> None:
        self._items: deque[T] = deque(maxlen=max_items)
        self._is_closed = False
        self._changed = asyncio.Event()

    @property
    def _is_full(self) -> bool:
        return len(self._items) == self._items.maxlen

    def _put(self, item: T) -> None:
        """Append an item; if the queue is full, drop the oldest."""
        self._items.append(item)
        self._changed.set()

    def discard(self) -> None:
        """Drop all queued items."""
        self._items.clear()

    def close(self) -> None:
        """End the iteration after the queued items; may be called twice."""
        if not self._is_closed:
            self._is_closed = True
            self._leave()
            self._changed.set()

    def _leave(self) -> None:
        """Detach the queue from its source; called once."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        """Return the next one; cancelling the wait loses none."""
        while not self._items:
            if self._is_closed:
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        return self._items.popleft()
