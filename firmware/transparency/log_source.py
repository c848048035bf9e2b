"""A log's static files over HTTP: one origin, no redirects, a size limit and a timeout for each.

`log_url` comes from the relay, so it must be https or this very machine: without TLS a name could
lead anywhere in the home network. Nor does a relay that is elsewhere send a doorbell to itself,
where other programs answer: only one that runs on this machine has its logs here.
"""

import asyncio
import re
from dataclasses import dataclass

import httpx2

from firmware.protocol.public_addresses import is_this_machine
from firmware.transparency.errors import LogUnreachable, LogUnreadable

TIMEOUT_S = 30.0
PLACE_PATH = "place"
MAX_PLACE_BYTES = 2048
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,12})-([0-9]{1,12})/([0-9]{1,12})")


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundBytes:
    """A file's bytes from one on."""

    start_byte: int
    data: bytes


class LogSource:
    """The files of one log."""

    def __init__(
        self, http: httpx2.AsyncClient, log_url: str, name: str, *, timeout_s: float = TIMEOUT_S
    ) -> None:
        """`name` is the log's folder under `log_url`; the URL is checked at each use."""
        self._http = http
        self._home_url = self._log_url = log_url.rstrip("/")
        self._name = name
        self._timeout_s = timeout_s

    async def look_up(self) -> None:
        """Read from where the relay says that its logs are: a bucket of theirs, or a CDN.

        It may be the relay itself, which says nothing then; so it is as long as it can't be asked.
        """
        self.go_home()
        found = await self._fetch(f"{self._home_url}/{PLACE_PATH}", PLACE_PATH, 0, MAX_PLACE_BYTES)
        if found is not None:
            log_url = found.data.decode("utf-8", "replace").strip().rstrip("/")
            _check_place(log_url, self._home_url)
            self._log_url = log_url

    def go_home(self) -> None:
        """Read from the relay itself, as another place can't be reached."""
        self._log_url = self._home_url

    async def fetch(self, path: str, *, max_bytes: int) -> bytes:
        """Return a file's bytes, or raise LogUnreachable or LogUnreadable."""
        data = await self.fetch_if_there(path, max_bytes=max_bytes)
        if data is None:
            raise LogUnreachable(f"the log has no {path} just now")
        return data

    async def fetch_if_there(self, path: str, *, max_bytes: int) -> bytes | None:
        """Like `fetch`; None if there is no such file."""
        found = await self.fetch_from(path, 0, max_bytes=max_bytes)
        return None if found is None else found.data

    async def fetch_from(self, path: str, start_byte: int, *, max_bytes: int) -> FoundBytes | None:
        """Return a file's bytes from this one on, or all where the server gives no ranges.

        None if there is no such file. `max_bytes` limits what is fetched.
        """
        return await self._fetch(
            f"{self._log_url}/{self._name}/{path}", path, start_byte, max_bytes
        )

    async def _fetch(
        self, url: str, path: str, start_byte: int, max_bytes: int
    ) -> FoundBytes | None:
        _check_url(url)
        try:
            async with asyncio.timeout(self._timeout_s):
                status, found = await self._get(url, path, start_byte, max_bytes)
                if status == 416:  # shorter than it should be: whoever reads it all will see
                    status, found = await self._get(url, path, 0, max_bytes)
        except TimeoutError as error:
            raise LogUnreachable(f"{path} didn't come within {self._timeout_s:.0f} s") from error
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise LogUnreachable(f"{path} can't be fetched: {type(error).__name__}") from error
        if status == 404:
            return None
        if found is None:
            raise LogUnreachable(f"{path} can't be fetched: HTTP status {status}")
        return found

    async def _get(
        self, url: str, path: str, start_byte: int, max_bytes: int
    ) -> tuple[int, FoundBytes | None]:
        received = bytearray()
        headers = {"Accept-Encoding": "identity"}  # packed, a small answer could be endless
        if start_byte:
            headers["Range"] = f"bytes={start_byte}-"
        async with self._http.stream("GET", url, headers=headers, follow_redirects=False) as got:
            status = got.status_code
            is_part = status == 206 and _begins_at(got.headers, start_byte)
            if status != 200 and not is_part:
                return status, None
            async for piece in got.aiter_raw():
                received += piece
                if len(received) > max_bytes:
                    raise LogUnreadable(f"{path} has more than {max_bytes} bytes")
        return status, FoundBytes(start_byte=start_byte if is_part else 0, data=bytes(received))


def _check_url(url: str) -> httpx2.URL:
    """Return the URL, or raise LogUnreachable if it could lead into the home network."""
    try:
        place = httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise LogUnreachable("the relay names no place of the log: enrol anew") from error
    is_here = place.scheme == "http" and is_this_machine(place.host)
    if not place.host or not (place.scheme == "https" or is_here):
        raise LogUnreachable("the relay names a place of the log that isn't https: enrol anew")
    return place


def _check_place(url: str, home_url: str) -> None:
    """Raise LogUnreachable unless a relay that is at home there may name this place."""
    place = _check_url(url)
    if is_this_machine(place.host) and not is_this_machine(_check_url(home_url).host):
        raise LogUnreachable("the relay names this doorbell itself as the place of its logs")
    if place.userinfo or "?" in url or "#" in url:
        raise LogUnreachable("the place of the logs is https://host/folder, and no more")


def _begins_at(headers: httpx2.Headers, start_byte: int) -> bool:
    """Return whether a part of a file is the one that was asked for: up to the file's end."""
    found = _CONTENT_RANGE.fullmatch(headers.get("content-range", ""))
    if found is None or not start_byte:
        return False
    first, last, size = map(int, found.groups())
    return first == start_byte and last + 1 == size
