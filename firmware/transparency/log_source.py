"""A log's static files over HTTP: one origin, no redirects, a size limit and a timeout for each.

`log_url` comes from the relay, so it must be https or this very machine: without TLS a name could
lead anywhere in the home network.
"""

import asyncio
import ipaddress

import httpx2

from firmware.transparency.errors import LogUnreachable, LogUnreadable

TIMEOUT_S = 30.0


class LogSource:
    """The files of one log."""

    def __init__(
        self, http: httpx2.AsyncClient, log_url: str, name: str, *, timeout_s: float = TIMEOUT_S
    ) -> None:
        """`name` is the log's folder under `log_url`; the URL is checked at each use."""
        self._http = http
        self._prefix = f"{log_url.rstrip('/')}/{name}/"
        self._timeout_s = timeout_s

    async def fetch(self, path: str, *, max_bytes: int) -> bytes:
        """Return a file's bytes, or raise LogUnreachable or LogUnreadable."""
        data = await self.fetch_if_there(path, max_bytes=max_bytes)
        if data is None:
            raise LogUnreachable(f"the log has no {path} just now")
        return data

    async def fetch_if_there(self, path: str, *, max_bytes: int) -> bytes | None:
        """Like `fetch`; None if there is no such file."""
        url = self._url_of(path)
        try:
            async with asyncio.timeout(self._timeout_s):
                status, data = await self._get(url, path, max_bytes)
        except TimeoutError as error:
            raise LogUnreachable(f"{path} didn't come within {self._timeout_s:.0f} s") from error
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise LogUnreachable(f"{path} can't be fetched: {type(error).__name__}") from error
        if status == 404:
            return None
        if status != 200:
            raise LogUnreachable(f"{path} can't be fetched: HTTP status {status}")
        return data

    async def _get(self, url: str, path: str, max_bytes: int) -> tuple[int, bytes]:
        received = bytearray()
        headers = {"Accept-Encoding": "identity"}  # packed, a small answer could be endless
        async with self._http.stream("GET", url, headers=headers, follow_redirects=False) as got:
            if got.status_code == 200:
                async for piece in got.aiter_raw():
                    received += piece
                    if len(received) > max_bytes:
                        raise LogUnreadable(f"{path} has more than {max_bytes} bytes")
            return got.status_code, bytes(received)

    def _url_of(self, path: str) -> str:
        try:
            place = httpx2.URL(self._prefix)
        except httpx2.InvalidURL as error:
            raise LogUnreachable("the enrolment names no place of the log: enrol anew") from error
        is_here = place.scheme == "http" and _is_loopback(place.host)
        if not place.host or not (place.scheme == "https" or is_here):
            raise LogUnreachable(
                "the enrolment names a place of the log that isn't https: enrol anew"
            )
        return self._prefix + path


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
