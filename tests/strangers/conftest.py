"""One town for all strangers: the story was told, and everything still runs.

The tests are run by `make strangers` only. The town lives in a thread with a loop of its own; tests
know it by its addresses and its files, as anybody would.
"""

import asyncio
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from tests.faults.town import running_town
from tests.strangers.town import LivingTown, living_town

HERE = Path(__file__).parent
WANTED = "DOORWARD_STRANGERS"
UP_WITHIN_S = 400.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave the strangers out, with the reason, where they weren't asked for."""
    if os.environ.get(WANTED):
        return
    reason = pytest.mark.skip(reason="other people's tools are run by `make strangers`")
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(reason)


@pytest.fixture(scope="session")
def town() -> Iterator[LivingTown]:
    """The town after its story."""
    folder = Path(tempfile.mkdtemp(prefix="strangers-"))  # short: a socket lies in it
    up: Future[LivingTown] = Future()
    loop = asyncio.new_event_loop()
    over = asyncio.Event()

    async def live() -> None:
        try:
            (folder / "town").mkdir()
            async with running_town(folder / "town") as town:
                await town.play.tell()
                up.set_result(await living_town(town, loop))
                await over.wait()
        except Exception as error:  # for whoever waits for the town
            if up.done():
                raise
            up.set_exception(error)

    thread = threading.Thread(target=lambda: loop.run_until_complete(live()), name="town")
    thread.start()
    try:
        yield up.result(UP_WITHIN_S)
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
        loop.close()
        shutil.rmtree(folder)
