"""The gateway's server: listens on loopback only, unless another address is allowed."""

import asyncio
import ipaddress
import re
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from firmware.companion.viewer.errors import ListenError

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp

DEFAULT_PORT = 8480
SHUTDOWN_S = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """An IP address and a port."""

    ip: str
    port: int

    @property
    def text(self) -> str:
        """`ip:port`, as in a URL."""
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"

    @property
    def hosts(self) -> frozenset[str]:
        """The Host headers that mean this address."""
        is_local = ipaddress.ip_address(self.ip).is_loopback
        return frozenset({self.text, f"localhost:{self.port}"} if is_local else {self.text})


def parse_door(text: str) -> str:
    """Parse the address of a doorbell's own page; return its origin, or raise ListenError."""
    if re.fullmatch(r"https?://[A-Za-z0-9.\[\]:-]{1,253}/?", text) is None:
        raise ListenError(f"{text}: give the doorbell's page as http://NAME or http://NAME:PORT")
    return text.rstrip("/").lower()


def parse_address(text: str, *, is_network_allowed: bool) -> Address:
    """Parse `IP:PORT`, or raise ListenError; other machines may reach it only if that is wanted."""
    host, _, port = text.rpartition(":")
    try:
        ip = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host.strip("[]"))
    except ValueError as error:
        raise ListenError(f"{text}: give an IP address and a port, as 127.0.0.1:8480") from error
    if not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise ListenError(f"{text}: the port is a number from 1 to 65535")
    if ip.is_unspecified:
        raise ListenError(f"{text}: name one address of this machine, not all of them")
    if not ip.is_loopback and not is_network_allowed:
        raise ListenError(
            f"{text} can be reached from other machines, without encryption: whoever listens there "
            "learns the token and can watch your door. Listen at 127.0.0.1, or say "
            "--open-to-network if you mean it"
        )
    return Address(ip=str(ip), port=int(port))


def listen(address: Address) -> socket.socket:
    """Return a listening socket, or raise ListenError."""
    family = socket.AF_INET6 if ":" in address.ip else socket.AF_INET
    try:
        return socket.create_server((address.ip, address.port), family=family)
    except OSError as error:
        raise ListenError(f"{address.text} can't be listened at: {error.strerror}") from error


async def serve(app: "ASGIApp", listener: socket.socket, *, on_ready: Callable[[], None]) -> None:
    """Serve until SIGINT or SIGTERM."""
    import uvicorn

    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,  # its lines would hold the token
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=SHUTDOWN_S,
        )
    )
    ready = asyncio.create_task(_say_ready(server, on_ready), name="ready")
    try:
        await server.serve(sockets=[listener])
    finally:
        ready.cancel()
        with suppress(asyncio.CancelledError):
            await ready


async def _say_ready(server: "uvicorn.Server", on_ready: Callable[[], None]) -> None:
    while not server.started:  # noqa: ASYNC110 (no event for it)
        await asyncio.sleep(0.02)
    on_ready()
