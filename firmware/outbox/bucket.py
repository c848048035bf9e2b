"""Client of the bucket named at enrolment: resolves and checks its address, and puts one part.

No redirect is followed, no proxy asked. The name is looked up for each connection, and the
connection goes to an address that was checked: an address or `localhost` leads to just that; a
name leads to the public internet, or with https to the home network, where the certificate proves
that it is the bucket. So a name server can't turn a part against something in the house.

The sending blocks, so it runs in threads of its own; cancelling cuts the connection. http.client
leaves a part in the kernel's hands (sendfile), for less than half the CPU time of an asyncio
client, and keeps the loop free of the card.
"""

import asyncio
import http.client
import re
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path

import httpx2

from firmware.errors import BucketUnreachable, WrongBucket
from firmware.protocol.public_addresses import Address, is_public, stood_for

CONNECT_TIMEOUT_S = 10.0
STALL_TIMEOUT_S = 30.0
"""How long the bucket may take nothing and say nothing."""
MAX_ADDRESSES_TRIED = 3
MAX_URL_CHARS = 4096
TLS_CHUNK_BYTES = 256 * 1024

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the addresses of a name; raises OSError."""

# A whole URL without user or fragment, or anything that two readers could read in two ways.
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?(?P<target>/[A-Za-z0-9._~:/?@!$&'()*+,;=%-]*)?"
)
_USUAL_PORTS = {"http": 80, "https": 443}
# Networks that nobody reaches from outside: RFC 1918, RFC 4193, RFC 6598 (also private networks
# that span several houses).
_AT_HOME = [
    ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Scheme, host and port: an origin as in RFC 6454."""

    scheme: str
    host: str
    port: int

    @property
    def name(self) -> str:
        """The host without brackets."""
        return self.host.strip("[]")

    @property
    def authority(self) -> str:
        """Host, and port if it isn't the scheme's own: what was signed as `host`."""
        is_usual = self.port == _USUAL_PORTS[self.scheme]
        return self.host if is_usual else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The bytes of one part in its file."""

    path: Path
    offset: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The bucket's response to a part."""

    status: int
    etag: str


async def resolve(host: str, port: int) -> Sequence[str]:
    """Look a name up in the system's way."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


class Bucket:
    """One doorbell's bucket. `close` it when nothing is sent any more."""

    def __init__(
        self,
        origin: str,
        *,
        parts_at_once: int,
        resolve: Resolve = resolve,
        tls: ssl.SSLContext | None = None,
        stall_timeout_s: float = STALL_TIMEOUT_S,
    ) -> None:
        self._place = _place_of(origin)
        self._resolve = resolve
        self._tls = tls
        self._stall_timeout_s = stall_timeout_s
        self._threads = ThreadPoolExecutor(parts_at_once, thread_name_prefix="upload")

    def target_of(self, url: str) -> str:
        """Return path and query of a URL that leads here, or raise WrongBucket."""
        place, target = _parse(url)
        if self._place is None:
            raise WrongBucket("the enrolment names no bucket: enrol this doorbell again")
        if place != self._place or not target:
            raise WrongBucket("it leads to another place than the bucket")
        return target

    async def put(self, target: str, span: Span, headers: Mapping[str, str]) -> Answer:
        """Send one part. BucketUnreachable if it didn't get there; OSError if the card fails."""
        place = self._place
        if place is None:
            raise BucketUnreachable("the enrolment names no bucket")
        line = _Line(await self._connect(place))
        sending = asyncio.get_running_loop().run_in_executor(
            self._threads, self._put, line, place, target, span, headers
        )
        try:
            return await sending
        except asyncio.CancelledError:
            line.cut()
            raise

    def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _connect(self, place: Place) -> socket.socket:
        """Return a connection to one of the bucket's addresses that it may have."""
        reason = "it has no address"
        for address in (await self._addresses(place))[:MAX_ADDRESSES_TRIED]:
            is_v6 = address.version == 6
            sock = socket.socket(socket.AF_INET6 if is_v6 else socket.AF_INET, socket.SOCK_STREAM)
            sock.setblocking(False)
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    await asyncio.get_running_loop().sock_connect(sock, (str(address), place.port))
            except OSError as error:  # TimeoutError, too
                sock.close()
                reason = type(error).__name__
                continue
            except BaseException:
                sock.close()
                raise
            return sock
        raise BucketUnreachable(f"the bucket can't be reached ({reason})")

    async def _addresses(self, place: Place) -> list[Address]:
        try:
            return [ip_address(place.name)]  # just that one, wherever it is
        except ValueError:
            pass
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                found = await self._resolve(place.name, place.port)
            addresses = [ip_address(text.partition("%")[0]) for text in dict.fromkeys(found)]
        except (OSError, ValueError) as error:  # UnicodeError is a ValueError
            raise BucketUnreachable("the bucket's name isn't found") from error
        if not all(may_be_at(place, address) for address in addresses):
            raise BucketUnreachable(
                "the bucket's name leads into a private network: nothing is sent"
            )
        return addresses

    def _put(
        self, line: "_Line", place: Place, target: str, span: Span, headers: Mapping[str, str]
    ) -> Answer:
        """Send one part in this thread; return the bucket's answer."""
        with line:
            try:
                line.begin(self._stall_timeout_s, self._context(place), place.name)
                return _exchange(line, place, target, span, headers)
            except (OSError, http.client.HTTPException) as error:
                raise BucketUnreachable(f"the connection broke ({type(error).__name__})") from error

    def _context(self, place: Place) -> ssl.SSLContext | None:
        if place.scheme == "http":
            return None
        if self._tls is None:
            self._tls = httpx2.create_ssl_context(trust_env=False)  # trusts what enrolment trusts
        return self._tls


class _Line:
    """One connection of a thread; any other thread may cut it."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._lock = threading.Lock()
        self._is_cut = False

    def __enter__(self) -> "_Line":
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._is_cut = True
            self.sock.close()

    def begin(self, timeout_s: float, tls: ssl.SSLContext | None, name: str) -> None:
        """Get ready to send: with https, prove that it is the bucket."""
        self.sock.settimeout(timeout_s)
        if tls is None:
            return
        with self._lock:
            if self._is_cut:
                raise ConnectionAbortedError("the upload was ended")
            self.sock = tls.wrap_socket(
                self.sock, server_hostname=name, do_handshake_on_connect=False
            )
        assert isinstance(self.sock, ssl.SSLSocket)  # noqa: S101 (for the type checker)
        self.sock.do_handshake()

    def cut(self) -> None:
        """End whatever waits for the network."""
        with self._lock, suppress(OSError):
            if not self._is_cut:
                self._is_cut = True
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)  # TLS has no say in it


def _exchange(
    line: _Line, place: Place, target: str, span: Span, headers: Mapping[str, str]
) -> Answer:
    connection = http.client.HTTPConnection(place.name, place.port)
    connection.sock = line.sock
    connection.auto_open = 0  # never a connection whose address wasn't checked
    connection.putrequest("PUT", target, skip_host=True, skip_accept_encoding=True)
    connection.putheader("Host", place.authority)
    connection.putheader("Connection", "close")
    connection.putheader("Content-Length", str(span.size_bytes))
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    try:
        _send(line.sock, span)
    except OSError:
        answer = connection.getresponse()  # who refuses may hang up before all is sent
        if answer.status < 400:
            raise
    else:
        answer = connection.getresponse()
    return Answer(status=answer.status, etag=answer.getheader("etag", ""))


def _send(sock: socket.socket, span: Span) -> None:
    with span.path.open("rb", buffering=0) as file:
        if not isinstance(sock, ssl.SSLSocket):
            sent = sock.sendfile(file, span.offset, span.size_bytes)
        else:
            file.seek(span.offset)
            sent = 0
            while chunk := file.read(min(TLS_CHUNK_BYTES, span.size_bytes - sent)):
                sock.sendall(chunk)
                sent += len(chunk)
    if sent != span.size_bytes:
        raise OSError("the package's file is cut off")


def _place_of(origin: str) -> Place | None:
    """Return where the bucket is; None if the enrolment says nothing that could be one."""
    try:
        place, target = _parse(origin.lower())
    except WrongBucket:
        return None
    return place if target in ("", "/") else None


def _parse(url: str) -> tuple[Place, str]:
    match = _URL.fullmatch(url) if len(url) <= MAX_URL_CHARS else None
    if match is None or int(match["port"] or 1) > 65535:
        raise WrongBucket("it is no URL of a bucket")
    scheme, port = match["scheme"], int(match["port"] or _USUAL_PORTS[match["scheme"]])
    return Place(scheme=scheme, host=match["host"], port=port), match["target"] or ""


def may_be_at(place: Place, address: Address) -> bool:
    """Tell whether the bucket's name may lead there."""
    if place.name == "localhost":
        return address.is_loopback
    inner = stood_for(address)
    if inner.is_multicast or inner.is_loopback or inner.is_link_local or inner.is_unspecified:
        return False
    is_at_home = any(inner in network for network in _AT_HOME)
    return is_public(address) or (place.scheme == "https" and is_at_home)
