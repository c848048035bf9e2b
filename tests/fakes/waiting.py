"""Waiting for what sets no event: other threads, processes and connections."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def eventually(is_so: Callable[[], object], within_s: float = 10) -> None:
    """Return once it is so; fail if it doesn't come about."""
    end_s = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < end_s, f"it didn't come about within {within_s} s"
        await asyncio.sleep(0.005)


async def in_time(work: Awaitable[T], seconds: float = 10) -> T:
    """Await, but not for ever."""
    async with asyncio.timeout(seconds):
        return await work
