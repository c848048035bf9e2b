"""The connection to the doorbell that a folder is set up for, and the folder of its clips."""

import contextlib
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2

from firmware.companion.owner.asked_client import AskedClient
from firmware.companion.owner.errors import OwnerError
from firmware.companion.viewer.clock import MachineClock
from firmware.companion.viewer.folder import Folder
from firmware.companion.viewer.gateway import Gateway
from firmware.companion.viewer.relay_client import TIMEOUT_S, RelayClient


@asynccontextmanager
async def open_asked_client(folder: Folder) -> AsyncIterator[AskedClient]:
    """Open a line to the doorbell that the folder is set up for."""
    from firmware.companion.owner.connection import open_line

    keys, setup = folder.keys(), folder.setup()
    async with httpx2.AsyncClient(timeout=TIMEOUT_S, trust_env=False) as http:
        relay = RelayClient(http, setup)
        gateway = Gateway(
            keys=keys,
            setup=setup,
            relay=relay,
            clock=MachineClock(),
            purpose="clips",
        )
        servers = (await relay.ice()).ice_servers
        async with open_line(gateway, servers) as line:
            yield AskedClient(line)


@contextlib.contextmanager
def clip_folder(saved: Path | None) -> Iterator[Path]:
    """Return where clips are written: `saved`, or a folder that goes again."""
    if saved is None:
        with tempfile.TemporaryDirectory(prefix="doorward-") as folder:
            yield Path(folder)
        return
    try:
        saved.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise OwnerError(f"{saved} can't be made: {error.strerror}") from error
    yield saved
