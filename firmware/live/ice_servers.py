"""The rule which STUN and TURN servers ICE may use: the relay, which isn't trusted, names them.

A server is where the doorbell, which stands in its owner's home, opens connections to. A hostile
relay that named `turn:192.168.1.1:80?transport=tcp` would learn by the time that the answer takes
what there is in that home, so only public addresses count, and of their ports only the usual ones.
What a name leads to is looked up here, once, and that address is what is used. A name that leads
nowhere and one that leads inside are treated alike, or the refusal would tell which: such a server
isn't used, and the log says why. What is plainly wrong is refused.

Servers in the owner's own network can be allowed by `[live] private_ice_hosts`. Of STUN and of
TURN the first usable one is taken, as aiortc would. IPv4 only, as aioice's STUN is.
"""

import asyncio
import ipaddress
import logging
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import ifaddr

from firmware.live.errors import LiveError
from firmware.protocol.commands import IceServer
from firmware.protocol.public_addresses import is_public
from firmware.system.daemon_call import call_in_daemon

logger = logging.getLogger(__name__)

MAX_SERVERS = 8
MAX_URLS = 8
MAX_URL_CHARS = 300
LOOK_UP_S = 2.0
MAX_LOOK_UPS = 4
"""Look-ups may hang for long, each on a thread; beyond this a name is not used."""
LOW_PORTS = (80, 443)
FIRST_FREE_PORT = 1024

Network = ipaddress.IPv4Network
Scheme = Literal["stun", "turn", "turns"]
_URL = re.compile(
    r"(?P<scheme>stun|turns?):(?P<host>[A-Za-z0-9.-]{1,253})(?::(?P<port>[0-9]{1,5}))?"
    r"(?:\?transport=(?P<transport>udp|tcp))?"
)
_NAME = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
_INSIDE = (".local", ".localhost", ".internal", ".home.arpa", ".lan", ".home", ".corp")
"""Names that mean something at home only (RFC 6761, 6762, 8375, and what routers use)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedServer:
    """A server that ICE may use, by the address that was looked at."""

    scheme: Scheme
    address: str
    port: int
    transport: Literal["udp", "tcp"]
    name: str
    """What its certificate must say, where `scheme` is "turns"."""
    username: str = ""
    credential: str = ""

    @property
    def url(self) -> str:
        """The URL for RTCIceServer, by address."""
        transport = "" if self.scheme == "stun" else f"?transport={self.transport}"
        return f"{self.scheme}:{self.address}:{self.port}{transport}"


class IceServerRule:
    """Checks the relay's servers against the rule above."""

    def __init__(
        self,
        private_hosts: Iterable[str] = (),
        *,
        look_up: Callable[[str], Sequence[str]] | None = None,
        own_networks: Callable[[], Sequence[Network]] | None = None,
        look_up_s: float = LOOK_UP_S,
    ) -> None:
        """`private_hosts` may lie anywhere. `look_up` returns a name's IPv4 addresses, or OSError.

        `look_up` is called on a thread, for it may take long.
        """
        self._private_hosts = frozenset(host.lower() for host in private_hosts)
        self._look_up = look_up or _look_up
        self._own_networks = own_networks or _own_networks
        self._look_up_s = look_up_s
        self._look_ups = threading.BoundedSemaphore(MAX_LOOK_UPS)

    async def used(self, servers: Sequence[IceServer]) -> tuple[UsedServer, ...]:
        """Return at most one STUN and one TURN server, or raise LiveError."""
        parsed = self._parsed(servers)
        kinds = [
            [one for one in parsed if (one.scheme == "stun") is stun] for stun in (True, False)
        ]
        found = await asyncio.gather(*(self._first_usable(kind) for kind in kinds))
        return tuple(server for server in found if server is not None)

    def _parsed(self, servers: Sequence[IceServer]) -> list[UsedServer]:
        """Parse and check all of them without look-ups, or raise LiveError."""
        if len(servers) > MAX_SERVERS or any(len(one.urls) > MAX_URLS for one in servers):
            raise _refused(f"more than {MAX_SERVERS} servers of {MAX_URLS} addresses")
        return [self._parse(url, server) for server in servers for url in server.urls]

    def _parse(self, url: str, server: IceServer) -> UsedServer:
        match = _URL.fullmatch(url) if len(url) <= MAX_URL_CHARS else None
        if match is None:
            raise _refused("an address that isn't stun:, turn: or turns:host:port")
        scheme: Scheme = match["scheme"]  # type: ignore[assignment]  # as the pattern has it
        host = match["host"].lower()
        usual = 5349 if scheme == "turns" else 3478
        port = int(match["port"] or usual)
        transport = match["transport"] or ("tcp" if scheme == "turns" else "udp")
        if (match["transport"] and scheme == "stun") or (scheme, transport) == ("turns", "udp"):
            raise _refused(f"{scheme} over {transport}")
        if not (port in LOW_PORTS or FIRST_FREE_PORT <= port <= 65535):
            raise _refused(f"port {port}: 80, 443 and those from {FIRST_FREE_PORT} on are used")
        self._check_host(host)
        return UsedServer(
            scheme=scheme,
            address=host,
            port=port,
            transport="tcp" if transport == "tcp" else "udp",
            name=host,
            username=server.username,
            credential=server.credential,
        )

    def _check_host(self, host: str) -> None:
        """Refuse hosts that are private by their name or address alone."""
        if host in self._private_hosts:
            return
        address = _address(host)
        if address is not None:
            if not self._is_outside(address):
                raise _refused("an address that isn't a public one")
        elif _NAME.fullmatch(host) is None or host.endswith(_INSIDE):
            raise _refused("a name that isn't a public one")

    async def _first_usable(self, servers: Sequence[UsedServer]) -> UsedServer | None:
        for server in servers:
            address = await self._place(server.name)
            if address is not None:
                return replace(server, address=address)
        return None

    async def _place(self, host: str) -> str | None:
        """Return the address to use for a host, or None."""
        if _address(host) is not None:
            return host
        found = await self._looked_up(host)
        addresses = [_address(text) for text in found]
        is_allowed = host in self._private_hosts
        if addresses and all(one and (is_allowed or self._is_outside(one)) for one in addresses):
            return str(addresses[0])
        if found:
            logger.warning(
                "a STUN or TURN server isn't used: %s leads into a private network; if it is "
                "yours, name it in live.private_ice_hosts",
                host,
            )
        return None

    async def _looked_up(self, name: str) -> Sequence[str]:
        if not self._look_ups.acquire(blocking=False):
            logger.warning("a STUN or TURN server isn't used: too many names are being looked up")
            return ()
        try:
            async with asyncio.timeout(self._look_up_s):
                return await call_in_daemon(lambda: self._counted(name), name="ICE server's name")
        except (OSError, UnicodeError, TimeoutError) as error:
            logger.info("a STUN or TURN server isn't used: %s can't be looked up: %r", name, error)
            return ()

    def _counted(self, name: str) -> Sequence[str]:
        """Look up, on a thread; one that is given up counts until it ends."""
        try:
            return self._look_up(name)
        finally:
            self._look_ups.release()

    def _is_outside(self, address: ipaddress.IPv4Address) -> bool:
        return is_public(address) and not any(
            address in network for network in self._own_networks()
        )


class NamedContext(ssl.SSLContext):
    """Checks a server's certificate by its name, where the connection is made by address."""

    def __new__(cls, name: str) -> "NamedContext":  # noqa: ARG004
        """Create the context, as SSLContext requires."""
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self.load_default_certs()

    def wrap_bio(  # type: ignore[override]  # upstream's has more, which asyncio doesn't give
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,  # noqa: ARG002
    ) -> ssl.SSLObject:
        """Wrap, as asyncio does, but with the name."""
        return super().wrap_bio(
            incoming, outgoing, server_side=server_side, server_hostname=self._name
        )


def _refused(what: str) -> LiveError:
    return LiveError("ice_server", f"the relay named a STUN or TURN server with {what}")


def _address(text: str) -> ipaddress.IPv4Address | None:
    try:
        return ipaddress.IPv4Address(text)
    except ValueError:
        return None


def _look_up(name: str) -> Sequence[str]:
    found = socket.getaddrinfo(name, None, family=socket.AF_INET, type=socket.SOCK_DGRAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _own_networks() -> Sequence[Network]:
    """Return the networks that this machine is in."""
    addresses = (one for adapter in ifaddr.get_adapters() for one in adapter.ips if one.is_IPv4)
    return [Network((str(one.ip), one.network_prefix), strict=False) for one in addresses]
