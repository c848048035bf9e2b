"""Puts a sealed package into the bucket, part by part, by presigned URLs.

This file is where sealed footage leaves the doorbell. It goes to one origin only, the bucket
named at enrolment; redirects are not followed; only the parts that this doorbell announced are
sent. The bucket checks each part's SHA-256, which the URL's signature covers.
"""

import asyncio
import base64
import hashlib
import logging
import random
from collections.abc import Awaitable, Callable

import httpx2
import msgspec

from firmware.backoff import Backoff
from firmware.errors import TicketRefused, UploadFailed
from firmware.outbox.outgoing import Outgoing
from firmware.protocol.commands import PartTicket, UploadTicket
from firmware.protocol.events import PackageReady, UploadedPart

TRIES = 6
RETRY_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})

log = logging.getLogger(__name__)


class _TryAgain(Exception):
    """The bucket or the way to it failed for the moment."""


class Uploader:
    """Uploads packages of one doorbell to its one bucket."""

    def __init__(
        self,
        *,
        outgoing: Outgoing,
        bucket_origin: str,
        http: httpx2.AsyncClient,
        source: random.Random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._outgoing = outgoing
        self._origin = _origin_of(httpx2.URL(bucket_origin))
        self._http = http
        self._source = source
        self._sleep = sleep

    async def upload(self, ticket: UploadTicket) -> list[UploadedPart]:
        """Send what is missing; return all parts as the bucket acknowledged them.

        Raises TicketRefused (needs another ticket) or UploadFailed (later again). What was
        finished is remembered for the next try with the same multipart upload.
        """
        ready = self._outgoing.announced(ticket.package_id)
        urls = self._check(ticket, ready)
        upload_id = urls[1].params.get("uploadId", "")
        done = self._outgoing.progress(ticket.package_id, upload_id)
        for part in sorted(ticket.parts, key=lambda part: part.number):
            if part.number in done and done[part.number].sha256 == part.sha256:
                continue
            etag = await self._send(ready, part, urls[part.number])
            done[part.number] = _uploaded(part, etag, ticket.package_id)
            await asyncio.to_thread(
                self._outgoing.remember, ticket.package_id, upload_id, dict(done)
            )
            log.info("package %s: part %d is in the bucket", ticket.package_id, part.number)
        return [done[number] for number in sorted(done)]

    def _check(self, ticket: UploadTicket, ready: PackageReady) -> dict[int, httpx2.URL]:
        """Refuse a ticket that names other parts or another place than the bucket."""
        wanted = dict(enumerate(ready.part_sha256, start=1))
        named = {part.number: part.sha256 for part in ticket.parts}
        if named != wanted or len(ticket.parts) != len(wanted):
            raise TicketRefused(ticket.package_id, "the ticket is for other parts than announced")
        urls: dict[int, httpx2.URL] = {}
        for part in ticket.parts:
            try:
                url = httpx2.URL(part.url)
            except httpx2.InvalidURL as error:
                raise TicketRefused(ticket.package_id, "the ticket holds no URL") from error
            if _origin_of(url) != self._origin or url.userinfo or url.fragment:
                raise TicketRefused(
                    ticket.package_id, "the ticket leads to another place than the bucket"
                )
            urls[part.number] = url
        if len({url.params.get("uploadId", "") for url in urls.values()}) != 1:
            raise TicketRefused(ticket.package_id, "the ticket mixes several uploads")
        return urls

    async def _send(self, ready: PackageReady, part: PartTicket, url: httpx2.URL) -> str:
        data = await asyncio.to_thread(self._outgoing.part, ready, part.number)
        digest = hashlib.sha256(data).digest()
        if digest.hex() != part.sha256:
            raise TicketRefused(ready.package_id, f"part {part.number} is damaged on the card")
        backoff = Backoff(first_s=0.5, max_s=30, source=self._source)
        for attempt in range(1, TRIES + 1):
            try:
                return await self._put(ready.package_id, url, data, digest)
            except _TryAgain as reason:
                log.warning("package %s: part %d: %s", ready.package_id, part.number, reason)
                if attempt == TRIES:
                    break
                await self._sleep(backoff.next_s())
        raise UploadFailed(ready.package_id, f"part {part.number} failed {TRIES} times")

    async def _put(self, package_id: str, url: httpx2.URL, data: bytes, digest: bytes) -> str:
        """Send one part; return its ETag. The URL is a secret: it is never named in a text."""
        headers = {"x-amz-checksum-sha256": base64.b64encode(digest).decode()}
        try:
            async with self._http.stream(
                "PUT", url, content=data, headers=headers, follow_redirects=False
            ) as response:
                status, etag = response.status_code, response.headers.get("etag", "")
        except httpx2.TransportError as error:
            raise _TryAgain(type(error).__name__) from error
        if status in RETRY_STATUSES:
            raise _TryAgain(f"HTTP status {status}")
        if status != 200 or not etag:
            raise TicketRefused(package_id, f"the bucket answered with HTTP status {status}")
        return etag


def _origin_of(url: httpx2.URL) -> tuple[str, str, int | None]:
    default = {"http": 80, "https": 443}.get(url.scheme)
    return (url.scheme, url.host, url.port or default)


def _uploaded(part: PartTicket, etag: str, package_id: str) -> UploadedPart:
    try:
        return msgspec.convert(
            {"number": part.number, "etag": etag, "sha256": part.sha256}, UploadedPart
        )
    except msgspec.ValidationError as error:
        raise TicketRefused(package_id, "the bucket's ETag isn't one line") from error
