"""Pictures of posts: encoded anew as they come in, kept with their post, erased with it.

They are kept in the database, not in the bucket: a refusal erases a post's state, text and
pictures in one transaction. Decoding is a child process (picture_child.py).
"""

import asyncio
import logging
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, Literal

from firmware.protocol.encoding import new_id
from relay.base.clock import Clock
from relay.feed.reader import Reader
from relay.feed.rules import MAX_LOOSE_PICTURES, FeedRefused, RefusalName
from relay.store import feed
from relay.store.database import Database
from relay.store.people import Account

COMMAND: Final = (sys.executable, "-I", "-B", "-m", "relay.feed.picture_child")
MAX_BYTES: Final = 8 * 1024 * 1024
MEDIA_TYPES: Final = ("image/jpeg", "image/png", "image/webp")
JPEG_BEGIN: Final = b"\xff\xd8\xff"
TIMEOUT_S: Final = 20.0
AT_ONCE: Final = 2
"""Child processes at a time; each takes at most 1 GB of addresses, and mostly a tenth of it."""
_REFUSED_CODE: Final = 2
_Fault = Literal["format", "small", "pixels", "unreadable"]
_FAULTS: Final[dict[_Fault | str, tuple[RefusalName, str]]] = {
    "format": ("picture_format", "this isn't a JPEG, PNG or WebP picture: choose another file"),
    "small": ("picture_small", "this picture is too small to show anything: choose another"),
    "pixels": (
        "picture_pixels",
        "this picture has too many pixels, more than 64 million: make it smaller first",
    ),
    "unreadable": (
        "picture_unreadable",
        "this picture can't be read: save it anew, or take another",
    ),
}

log = logging.getLogger(__name__)


class PictureEncoder:
    """Runs the child process; a few at a time, and none for long."""

    def __init__(self, *, command: Sequence[str] = COMMAND, timeout_s: float = TIMEOUT_S) -> None:
        self._command = tuple(command)
        self._timeout_s = timeout_s
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def encode(self, data: bytes) -> bytes:
        """Return a picture as a JPEG without metadata, at most 1600 pixels long. FeedRefused."""
        async with self._turns:
            child = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env={},
                cwd="/",
            )
            try:
                async with asyncio.timeout(self._timeout_s):
                    written, _ = await child.communicate(data)
            except TimeoutError as error:
                words = "this picture took too long to read: make it smaller first"
                raise FeedRefused("picture_time", words) from error
            finally:
                if child.returncode is None:
                    with suppress(ProcessLookupError):
                        child.kill()
                    await child.wait()
        if child.returncode == 0 and written.startswith(JPEG_BEGIN):
            return written
        fault = written.decode(errors="replace") if child.returncode == _REFUSED_CODE else ""
        if fault not in _FAULTS:
            log.warning("a picture's decoder ended with code %s", child.returncode)
        name, words = _FAULTS.get(fault, _FAULTS["unreadable"])
        raise FeedRefused(name, words)


class Pictures:
    """The pictures of posts: uploaded by members, seen by everybody once their post is public."""

    def __init__(
        self, database: Database, clock: Clock, reader: Reader, encoder: PictureEncoder
    ) -> None:
        self._database = database
        self._clock = clock
        self._reader = reader
        self._encoder = encoder

    async def add(self, account: Account, data: bytes) -> str:
        """Store a picture for a post that is being written; return its id. FeedRefused.

        After a day without a post it is erased.
        """
        await self._check_count(account)
        jpeg = await self._encoder.encode(data)
        picture_id = new_id()
        async with self._database.begin() as tx:
            if len(await feed.loose_pictures(tx, account.id)) >= MAX_LOOSE_PICTURES:
                raise _too_many()
            await feed.add_picture(tx, picture_id, account.id, jpeg, self._clock.wall_ms())
        return picture_id

    async def _check_count(self, account: Account) -> None:
        async with self._database.read() as tx:
            if len(await feed.loose_pictures(tx, account.id)) >= MAX_LOOSE_PICTURES:
                raise _too_many()

    async def find_public(self, picture_id: str) -> bytes | None:
        """Return the picture of a public post as JPEG."""
        async with self._database.read() as tx:
            found = await feed.find_picture(tx, picture_id)
            if found is None or found.post_id is None:
                return None
            is_public = self._reader.is_public(await feed.find_post(tx, found.post_id))
        return found.jpeg if is_public else None

    async def find_own(self, account: Account, picture_id: str) -> bytes | None:
        """Return a picture of one's own, with or without a post."""
        async with self._database.read() as tx:
            found = await feed.find_picture(tx, picture_id)
            if found is None or found.post_id is None:
                is_own = found is not None and found.account_id == account.id
            else:
                row = await feed.find_post(tx, found.post_id)
                is_own = row is not None and row.account_id == account.id
        return found.jpeg if found is not None and is_own else None

    async def find_moderated(self, picture_id: str) -> bytes | None:
        """Return a post's picture, in any state, for a moderator."""
        async with self._database.read() as tx:
            found = await feed.find_picture(tx, picture_id)
        return None if found is None or found.post_id is None else found.jpeg


def _too_many() -> FeedRefused:
    words = f"{MAX_LOOSE_PICTURES} pictures wait for a post already: send it first, or wait a day"
    return FeedRefused("too_many_pictures", words)
