"""The finished clips, for live view and the doorbell's own page: `live.feed.ClipSource`.

Translation only: which clips there are, and what is in them, is the library's and playback's.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence

from firmware.clips.fragment import ClipUnit
from firmware.clips.gop_reader import begin_90k, gops_from
from firmware.clips.library import Library
from firmware.clips.playback import Playback
from firmware.clips.record import ClipRecord, manifest_of
from firmware.errors import VaultError
from firmware.live.feed import ClipFile, ClipGops, ClipSummary

TICKS_PER_MS = 90

log = logging.getLogger(__name__)


class LibraryClips:
    """The finished clips, for live view's data channel and for the page."""

    def __init__(self, library: Library, playback: Playback) -> None:
        self._library = library
        self._playback = playback

    def newest(self, limit: int, skip: int = 0) -> Sequence[ClipSummary]:
        """Return at most `limit` clips, newest first, after `skip` newer ones."""
        return [
            ClipSummary(
                clip_id=clip.clip_id,
                started_ms=clip.started_ms,
                duration_ms=clip.duration_ms,
                manifest_digest=clip.manifest_digest,
                pre_roll_ms=clip.pre_roll_ms,
            )
            for clip in self._library.newest(limit, skip)
        ]

    async def plain_mp4(self, clip_id: str) -> ClipFile | None:
        """Return one clip, or None if there is none of that id that can be read."""
        record = await asyncio.to_thread(self._library.find, clip_id)
        if record is None:
            return None
        try:
            mp4 = await asyncio.to_thread(self._playback.plain_mp4, record)
        except (OSError, VaultError) as error:
            log.warning("clip %s can't be played: %s", clip_id, error)
            return None
        return ClipFile(
            mp4=mp4,
            manifest_digest=record.manifest_digest,
            manifest=record.signed_manifest,
            started_ms=record.started_ms,
            dating=record.dating,
        )

    async def read_gops(self, clip_id: str, from_ms: int) -> ClipGops | None:
        """Return one clip from this moment on, or None if there is none of that id."""
        record = await asyncio.to_thread(self._library.find, clip_id)
        if record is None:
            return None
        try:
            first_90k = await asyncio.to_thread(begin_90k, record, from_ms * TICKS_PER_MS)
        except VaultError as error:
            log.warning("clip %s can't be played: %s", clip_id, error)
            return None
        return ClipGops(
            from_ms=first_90k // TICKS_PER_MS,
            started_ms=record.started_ms,
            duration_ms=record.duration_ms,
            gops=self._gops(record, first_90k),
            rotation=manifest_of(record.signed_manifest).shown_rotation,
        )

    async def _gops(self, record: ClipRecord, first_90k: int) -> AsyncIterator[Sequence[ClipUnit]]:
        gops = gops_from(self._playback, record, first_90k)
        try:
            while (gop := await asyncio.to_thread(next, gops, None)) is not None:
                yield gop
        except (OSError, VaultError) as error:
            log.warning("clip %s can't be played further: %s", record.clip_id, error)
