"""Ways into a booted doorbell: its own page, and its bell, as if somebody stood before it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2

from tests.story.door import Door

PAGE, BELL, SSH = 8402, 9000, 22
PIECE = 64 * 1024


@contextlib.asynccontextmanager
async def at_the_door(folder: Path, *, name: str, page: int, bell: int) -> AsyncIterator[Door]:
    """Give somebody at the door `name`, whose page and bell are reached at these ports here.

    The page answers to its own name only, so requests carry it: what a browser at home would send.
    """
    url = f"http://{name}.local:{PAGE}"
    socket = folder / "bell.sock"
    door = Door(url, socket)
    here = httpx2.AsyncHTTPTransport()
    await door.page.close()
    door.page.http = httpx2.AsyncClient(
        base_url=f"http://127.0.0.1:{page}",
        headers={"Accept": "application/json", "Origin": url, "Host": f"{name}.local:{PAGE}"},
        transport=here,
        timeout=60.0,
        trust_env=False,
    )

    async def hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", bell)
            with contextlib.closing(inner_writer):
                await asyncio.gather(
                    _pump(reader, inner_writer), _pump(inner_reader, writer)
                )
        writer.close()

    server = await asyncio.start_unix_server(hand_on, socket, limit=8 * 1024 * 1024)
    try:
        yield door
    finally:
        server.close()
        await door.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(PIECE):
        writer.write(piece)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
