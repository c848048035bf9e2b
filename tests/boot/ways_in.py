"""Ways into a booted doorbell: its own page, and its bell, as if somebody stood before it."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2

from tests.story.api import Json
from tests.story.door import Door
from tests.story.settings import StoryError

PAGE, BELL, SSH = 8402, 9000, 22
PIECE = 64 * 1024
LOOK_AGAIN_S = 0.5


@contextlib.asynccontextmanager
async def at_the_door(
    folder: Path, *, name: str, page: int, bell: int, url: str | None = None
) -> AsyncIterator[Door]:
    """Give somebody at the door `name`, whose page and bell are reached at these ports here.

    The page answers to its own name only, so requests carry it: what a browser at home would send.
    `url` if it was told another one.
    """
    origin = url or f"http://{name}.local:{PAGE}"
    socket = folder / "control.sock"
    door = Door(origin, socket)
    await door.page.close()
    door.page.http = httpx2.AsyncClient(
        base_url=f"http://127.0.0.1:{page}",
        headers={
            "Accept": "application/json",
            "Origin": origin,
            "Host": origin.removeprefix("http://"),
        },
        timeout=60.0,
        trust_env=False,
    )

    open_ways: set[asyncio.Task[None]] = set()

    async def hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", bell)
            with contextlib.closing(inner_writer):
                await asyncio.gather(_pump(reader, inner_writer), _pump(inner_reader, writer))
        writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        way = asyncio.create_task(hand_on(reader, writer))
        open_ways.add(way)
        way.add_done_callback(open_ways.discard)

    server = await asyncio.start_unix_server(accept, socket, limit=8 * 1024 * 1024)
    try:
        yield door
    finally:
        server.close()
        await door.close()
        for way in open_ways:
            way.cancel()
        await asyncio.gather(*open_ways, return_exceptions=True)


async def wait_until_online(door: Door, within_s: float) -> Json:
    """Wait until the page is there, and says that the doorbell reaches its relay."""
    until_s = time.monotonic() + within_s
    while True:
        left_s = until_s - time.monotonic()
        try:
            return await door.wait_until_online(max(left_s, 1.0))
        except StoryError:
            if left_s <= 0:
                raise
            await asyncio.sleep(LOOK_AGAIN_S)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(PIECE):
        writer.write(piece)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
