"""A blocking call on a daemon thread of its own, for calls that may never return.

asyncio.to_thread won't do for those: its threads are waited for when the process ends, and a
driver that hangs would keep the process from ending.
"""

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def call_in_daemon(function: Callable[[], T], *, name: str) -> T:
    """Return what `function` returns, or raise what it raises. Cancelled, it is left behind."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(set_it: Callable[[], None]) -> None:
        if not done.done():
            set_it()

    def run() -> None:
        try:
            value = function()
        except BaseException as error:  # noqa: BLE001 - whatever it is belongs to the caller
            failure = error
            _hand_over(loop, lambda: settle(lambda: done.set_exception(failure)))
        else:
            _hand_over(loop, lambda: settle(lambda: done.set_result(value)))

    threading.Thread(target=run, name=name, daemon=True).start()
    return await done


def _hand_over(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    try:
        loop.call_soon_threadsafe(callback)
    except RuntimeError:  # the loop ended before the call did
        return
