"""Signals: whoever waits for work is woken by the commit that brings some, in every relay.

    a transaction notes a topic ─► committed ─► waiters here ─► by the broker, waiters elsewhere

A signal carries nothing: who is woken looks into the database. So one too many costs a look, and a
lost one (the broker was away, a command of the operator's didn't reach it) a minute: no waiter
waits longer than `LOOK_S`, nor beyond the time at which it knows that something is due.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from typing import Literal, get_args

Topic = Literal[
    "register",
    "custody",
    "published",
    "requests",
    "texts",
    "releases",
    "silences",
    "theft_map",
    "credits",
    "feed",
    "pushes",
]
"""What was changed: an entry was added to a log, one of them published, a request passed, an
agreement's text stored, an answer to a release is due, a doorbell went offline, a budget grew, a
neighbour's post or what somebody follows of them, pushes wait for the process that sends them; the
theft map's is given when a clock was wound, alone."""
TOPICS: tuple[Topic, ...] = get_args(Topic)
LOOK_S = 60.0


class Waiter:
    """One task's place to wait for signals; those that come while it works aren't lost."""

    def __init__(self, look_s: float = LOOK_S) -> None:
        self._look_s = look_s
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """End the wait of now, or the next one."""
        self._woken.set()

    async def wait(self, timeout_s: float = LOOK_S) -> bool:
        """Wait for a signal, for `timeout_s` or the longest time; then look for work.

        Return whether there was a signal.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(timeout_s, self._look_s)):
                await self._woken.wait()
        is_woken = self._woken.is_set()
        self._woken.clear()
        return is_woken


class Signals:
    """The signals of one database, in one process."""

    def __init__(self, *, look_s: float = LOOK_S) -> None:
        self._look_s = look_s
        self._waiters: dict[Topic, list[Waiter]] = {topic: [] for topic in TOPICS}
        self._unpublished: set[Topic] = set()
        self._has_unpublished = asyncio.Event()

    def waiter(self, *topics: Topic) -> Waiter:
        """Return a new waiter for these topics."""
        waiter = Waiter(self._look_s)
        for topic in topics:
            self._waiters[topic].append(waiter)
        return waiter

    def give(self, topics: Iterable[Topic]) -> None:
        """Wake the waiters here at once, and others' by whoever carries signals to them."""
        for topic in topics:
            self._unpublished.add(topic)
            self._has_unpublished.set()
            self.hear(topic)

    def hear(self, *topics: Topic) -> None:
        """Wake the waiters here: something was changed elsewhere."""
        for topic in topics:
            for waiter in self._waiters[topic]:
                waiter.wake()

    def take_unpublished(self) -> frozenset[Topic]:
        """Return what the other processes weren't told yet; from here on it counts as told."""
        unpublished = frozenset(self._unpublished)
        self._unpublished.clear()
        self._has_unpublished.clear()
        return unpublished

    async def carry(self, tell: Callable[[Topic], Awaitable[None]]) -> None:
        """Tell the other processes of each signal, until cancelled. Many of a kind are one."""
        while True:
            await self._has_unpublished.wait()
            for topic in sorted(self.take_unpublished()):
                await tell(topic)
