"""Keeps a named part running: what fails is logged and begun again, later each time."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from firmware.backoff import Backoff

log = logging.getLogger(__name__)

STEADY_AFTER_S = 60.0


async def keep_running(
    name: str, part: Callable[[], Awaitable[None]], *, source: random.Random
) -> None:
    """Run `part` until cancelled, again whenever it ends or fails (0.5 s to 30 s later)."""
    backoff = Backoff(first_s=0.5, max_s=30, source=source)
    loop = asyncio.get_running_loop()
    while True:
        began_s = loop.time()
        try:
            await part()
        except Exception:
            log.exception("%s failed", name)
        if loop.time() - began_s >= STEADY_AFTER_S:
            backoff.reset()
        wait_s = backoff.next_s()
        log.warning("%s begins again in %.1f s", name, wait_s)
        await asyncio.sleep(wait_s)
