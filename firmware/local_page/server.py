"""HTTP server of the page inside the doorbell's own loop: no signal handlers, no process."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Generator

import uvicorn
from starlette.types import ASGIApp

from firmware.local_page.connections import BoundedConnection
from firmware.local_page.errors import PortTaken

BACKLOG = 128
KEEP_ALIVE_S = 5
SHUTDOWN_S = 2


class _Server(uvicorn.Server):
    """uvicorn without signal handlers, which stay with the owner of the loop, and without its
    timer, which wakes ten times a second to look whether it is to end, and what the date is."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def main_loop(self) -> None:
        """Wait to be cancelled; each connection sets the date of its answers."""
        await asyncio.Event().wait()


async def serve(
    app: ASGIApp,
    host: str,
    port: int,
    *,
    on_ready: Callable[[int], None] | None = None,
    connection: type[BoundedConnection] = BoundedConnection,
) -> None:
    """Serve until cancelled; raise PortTaken if the address can't be had.

    `on_ready` is told the port (of use when `port` is 0) as soon as connections are taken.
    `connection` is what bounds each.
    """
    listener = listen(host, port)
    if on_ready is not None:
        on_ready(listener.getsockname()[1])
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        ws="none",
        http=connection,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=SHUTDOWN_S,
    )
    server = _Server(config)
    try:
        await server.serve(sockets=[listener])
    except BaseException:
        if server.started:
            await server.shutdown(sockets=[listener])
        raise
    finally:
        listener.close()


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket, or raise PortTaken saying what to do."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(BACKLOG)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise PortTaken(host, port, error) from error
    listener.setblocking(False)
    return listener
