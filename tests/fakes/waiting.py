"""Waiting for what sets no event: other threads, processes and connections."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE_S = 60.0
"""How long a busy machine may take for what comes at once on an idle one; only failures wait."""


async def eventually(is_so: Callable[[], object], within_s: float = PATIENCE_S) -> None:
    """Return once it is so; fail if it doesn't come about."""
    end_s = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < end_s, f"it didn't come about within {within_s} s"
        await asyncio.sleep(0.005)


async def in_time(work: Awaitable[T], seconds: float = PATIENCE_S) -> T:
    """Await, but not for ever."""
    async with asyncio.timeout(seconds):
        return await work
