"""Rules for push endpoints: URLs given by strangers, to which the relay sends (SSRF protection).

It must be https at port 443 of a name that has public addresses only, and of the hosts that the
operator allows. The addresses are looked up and checked before each sending, and the connection
goes to one of exactly those: a name that means something else a moment later leads nowhere.
With `push.loopback` (tests, the demo) this machine's own addresses are allowed instead.
"""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from firmware.protocol.public_addresses import Address, is_public
from relay.config.settings import PushConfig
from relay.errors import RelayError

MAX_ENDPOINT_CHARS = 2048
RESOLVE_TIMEOUT_S = 5.0
HTTPS_PORT = 443
_USUAL_PORTS = {"http": 80, "https": HTTPS_PORT}

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the addresses of a name; raises OSError."""

# A whole URL, without user, fragment or anything that two readers could read in two ways.
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?(?P<target>/[A-Za-z0-9._~:/?@!$&'()*+,;=%-]*)"
)


class EndpointRefused(RelayError):
    """A push endpoint is not allowed; the text says why."""


class EndpointUnresolved(RelayError):
    """An endpoint's host name doesn't resolve now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A URL in its parts; `target` is path and query."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def origin(self) -> str:
        """The URL's origin (RFC 6454): the audience of a VAPID token."""
        return f"{self.scheme}://{self.authority}"

    @property
    def authority(self) -> str:
        """Host, and port if it isn't the scheme's own."""
        is_usual = self.port == _USUAL_PORTS[self.scheme]
        return self.host if is_usual else f"{self.host}:{self.port}"

    @property
    def name(self) -> str:
        """The host without brackets."""
        return self.host.strip("[]")


async def resolve(host: str, port: int) -> Sequence[str]:
    """Resolve a name by the system's resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


class Endpoints:
    """Decides which endpoints are allowed."""

    def __init__(self, config: PushConfig, *, resolve: Resolve = resolve) -> None:
        self._config = config
        self._resolve = resolve

    def parse(self, text: str) -> Endpoint:
        """Return a URL as an allowed endpoint, or raise EndpointRefused. Asks nobody."""
        match = _URL.fullmatch(text) if len(text) <= MAX_ENDPOINT_CHARS else None
        if match is None or int(match["port"] or 0) > 65535:
            raise EndpointRefused("a push endpoint is https://host/path, as the browser gave it")
        scheme, host = match["scheme"], match["host"]
        port = int(match["port"] or _USUAL_PORTS[scheme])
        endpoint = Endpoint(scheme=scheme, host=host, port=port, target=match["target"])
        if self._is_own(endpoint):
            return endpoint
        if scheme != "https" or port != HTTPS_PORT:
            raise EndpointRefused("a push endpoint must be https at port 443")
        if not self._is_allowed(host):
            raise EndpointRefused(f"this relay doesn't push to {host} (push.hosts in relay.toml)")
        return endpoint

    async def addresses(self, endpoint: Endpoint) -> list[Address]:
        """Resolve the endpoint's addresses, or raise EndpointRefused, EndpointUnresolved."""
        try:
            async with asyncio.timeout(RESOLVE_TIMEOUT_S):
                found = await self._resolve(endpoint.name, endpoint.port)
        except (OSError, UnicodeError, TimeoutError) as error:
            raise EndpointUnresolved(f"{endpoint.name} isn't found") from error
        addresses = [_address(text) for text in dict.fromkeys(found)]
        if not addresses:
            raise EndpointUnresolved(f"{endpoint.name} has no address")
        is_allowed = _is_loopback if self._is_own(endpoint) else is_public
        if not all(is_allowed(address) for address in addresses):
            raise EndpointRefused(f"{endpoint.name} isn't on the public internet")
        return addresses

    def _is_own(self, endpoint: Endpoint) -> bool:
        """Return whether the endpoint is on this machine, where that is allowed."""
        if not self._config.is_loopback_allowed:
            return False
        if endpoint.name == "localhost":
            return True
        try:
            return ip_address(endpoint.name).is_loopback
        except ValueError:
            return False

    def _is_allowed(self, host: str) -> bool:
        allowed = self._config.hosts
        return not allowed or any(
            host.endswith(name[1:]) if name.startswith("*.") else host == name for name in allowed
        )


def _is_loopback(address: Address) -> bool:
    return address.is_loopback


def _address(text: str) -> Address:
    try:
        return ip_address(text.partition("%")[0])  # a link-local one has its interface behind it
    except ValueError as error:
        raise EndpointRefused(f"{text} is no address") from error
