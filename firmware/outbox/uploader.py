"""Uploader of a sealed package to the bucket, part by part, by presigned URLs.

This file is where sealed footage leaves the doorbell. It goes to one origin only, the bucket
named at enrolment (outbox/bucket.py); only the parts that this doorbell announced are sent, and
only if they are still what was announced. The bucket checks each part's SHA-256, which the URL's
signature covers. A part that the bucket has taken is noted at once, durably, and never sent again
to the same multipart upload; after a crash, at most the parts that were under way are.
"""

import asyncio
import base64
import logging
import random
from collections.abc import Awaitable, Callable, Iterator
from urllib.parse import parse_qs, urlsplit

import msgspec

from firmware.errors import BucketUnreachable, TicketRefused, UploadFailed, WrongBucket
from firmware.outbox.bucket import Bucket
from firmware.outbox.outgoing import Outgoing
from firmware.protocol.commands import PartTicket, UploadTicket
from firmware.protocol.events import PackageReady, UploadedPart
from firmware.system.backoff import Backoff

TRIES = 6
PARTS_AT_ONCE = 2
"""One is sent while the other is read and checked, or waits for the bucket's answer."""
RETRY_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
GONE_STATUS = 404

log = logging.getLogger(__name__)


class Uploader:
    """Uploads packages of one doorbell to its one bucket."""

    def __init__(
        self,
        *,
        outgoing: Outgoing,
        bucket: Bucket,
        source: random.Random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._outgoing = outgoing
        self._bucket = bucket
        self._source = source
        self._sleep = sleep

    async def upload(self, ticket: UploadTicket) -> list[UploadedPart]:
        """Send what is missing; return all parts as the bucket acknowledged them.

        Raises TicketRefused (needs another ticket) or UploadFailed (later again). What was
        finished is remembered for the next try with the same multipart upload.
        """
        ready = await asyncio.to_thread(self._outgoing.announced, ticket.package_id)
        journey = _Journey(
            ready, self._targets(ticket, ready), _upload_id_of(ticket), self._outgoing
        )
        missing = iter([part for part in _in_order(ticket) if part.number not in journey.done])
        errors = await asyncio.gather(
            *(self._send_each(missing, journey) for _ in range(PARTS_AT_ONCE)),
            return_exceptions=True,
        )
        for error in errors:
            if error is not None:
                raise error
        return [journey.done[number] for number in sorted(journey.done)]

    def _targets(self, ticket: UploadTicket, ready: PackageReady) -> dict[int, str]:
        """Return where each part goes; refuse other parts or another place than the bucket."""
        wanted = dict(enumerate(ready.part_sha256, start=1))
        named = {part.number: part.sha256 for part in ticket.parts}
        if named != wanted or len(ticket.parts) != len(wanted):
            raise TicketRefused(ticket.package_id, "the ticket is for other parts than announced")
        try:
            return {part.number: self._bucket.target_of(part.url) for part in ticket.parts}
        except WrongBucket as error:
            raise TicketRefused(ticket.package_id, f"the ticket can't be used: {error}") from error

    async def _send_each(self, missing: Iterator[PartTicket], journey: "_Journey") -> None:
        """Send one part after the other; whatever fails ends this, and the others after theirs."""
        for part in missing:
            if journey.has_failed:
                return
            try:
                etag = await self._send(journey, part)
                await journey.note(part, etag)
            except BaseException:
                journey.has_failed = True
                raise

    async def _send(self, journey: "_Journey", part: PartTicket) -> str:
        """Send one part in several tries; return its ETag."""
        ready = journey.ready
        if not await asyncio.to_thread(self._outgoing.is_intact, ready, part.number):
            raise TicketRefused(ready.package_id, f"part {part.number} is damaged on the card")
        backoff = Backoff(first_s=0.5, max_s=30, source=self._source)
        for attempt in range(1, TRIES + 1):
            try:
                return await self._put(journey, part)
            except BucketUnreachable as reason:
                log.warning("package %s: part %d: %s", ready.package_id, part.number, reason)
                if attempt == TRIES or journey.has_failed:
                    break
                await self._sleep(backoff.next_s())
        raise UploadFailed(ready.package_id, f"part {part.number} failed {attempt} times")

    async def _put(self, journey: "_Journey", part: PartTicket) -> str:
        """Send one part; return its ETag. The URL is a secret: it is never named in a text."""
        package_id = journey.ready.package_id
        answer = await self._bucket.put(
            journey.targets[part.number],
            self._outgoing.span(journey.ready, part.number),
            {"x-amz-checksum-sha256": base64.b64encode(bytes.fromhex(part.sha256)).decode()},
        )
        if answer.status in RETRY_STATUSES:
            raise BucketUnreachable(f"HTTP status {answer.status}")
        if answer.status == GONE_STATUS:
            raise TicketRefused(package_id, "the bucket no longer knows this upload: begin anew")
        if answer.status != 200 or not answer.etag:
            raise TicketRefused(package_id, f"the bucket answered with HTTP status {answer.status}")
        return answer.etag


class _Journey:
    """One package's multipart upload: the URLs of its parts, and which are uploaded."""

    def __init__(
        self, ready: PackageReady, targets: dict[int, str], upload_id: str, outgoing: Outgoing
    ) -> None:
        self.ready = ready
        self.targets = targets
        self.has_failed = False
        self._upload_id = upload_id
        self._outgoing = outgoing
        self._noting = asyncio.Lock()
        known = outgoing.progress(ready.package_id, upload_id)
        digests = dict(enumerate(ready.part_sha256, start=1))
        self.done = {n: part for n, part in known.items() if part.sha256 == digests.get(n)}

    async def note(self, part: PartTicket, etag: str) -> None:
        """Write down that the bucket has taken a part, before anything else happens to it."""
        async with self._noting:
            self.done[part.number] = _uploaded(part, etag, self.ready.package_id)
            await asyncio.to_thread(
                self._outgoing.remember, self.ready.package_id, self._upload_id, dict(self.done)
            )
        log.info("package %s: part %d is in the bucket", self.ready.package_id, part.number)


def _in_order(ticket: UploadTicket) -> list[PartTicket]:
    return sorted(ticket.parts, key=lambda part: part.number)


def _upload_id_of(ticket: UploadTicket) -> str:
    """Return the one multipart upload that all URLs name."""
    ids = {_parameter(part.url, "uploadId") for part in ticket.parts}
    if len(ids) != 1:
        raise TicketRefused(ticket.package_id, "the ticket mixes several uploads")
    return ids.pop()


def _parameter(url: str, name: str) -> str:
    return (parse_qs(urlsplit(url).query).get(name) or [""])[0]


def _uploaded(part: PartTicket, etag: str, package_id: str) -> UploadedPart:
    try:
        return msgspec.convert(
            {"number": part.number, "etag": etag, "sha256": part.sha256}, UploadedPart
        )
    except msgspec.ValidationError as error:
        raise TicketRefused(package_id, "the bucket's ETag isn't one line") from error
