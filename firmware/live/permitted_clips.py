"""The clips that one browser may see: those that began after its right did. A `ClipSource`.

The right is looked at for each wish, so that one that ended or shrank meanwhile counts at once.
"""

from collections.abc import Sequence
from typing import Protocol

from firmware.live.feed import ClipFile, ClipGops, ClipSource, ClipSummary
from firmware.live.signature_checks import Who
from firmware.protocol.rights import What


class HistoryRights(Protocol):
    """The check of rights (`firmware.live.signature_checks.SignatureChecks`)."""

    def who(self, browser_id: str, what: What | None = None) -> Who:
        """Return who has the browser; LiveError if it may not do this (any more)."""
        ...


class PermittedClips:
    """The clips from the beginning of one browser's right on. LiveError without `history`."""

    def __init__(self, shelf: ClipSource, *, browser: str, checks: HistoryRights) -> None:
        self._shelf = shelf
        self._browser = browser
        self._checks = checks

    def newest(self, limit: int, skip: int = 0) -> Sequence[ClipSummary]:
        """Return at most `limit` clips that it may see, newest first, after `skip` newer ones."""
        from_ms = self._from_ms()
        return [clip for clip in self._shelf.newest(limit, skip) if clip.started_ms >= from_ms]

    async def plain_mp4(self, clip_id: str) -> ClipFile | None:
        """Return one clip; None if there is none of that id that it may see."""
        from_ms = self._from_ms()
        clip = await self._shelf.plain_mp4(clip_id)
        return clip if clip is not None and clip.started_ms >= from_ms else None

    async def read_gops(self, clip_id: str, from_ms: int) -> ClipGops | None:
        """Return one clip from this moment on; None if there is none that it may see."""
        since_ms = self._from_ms()
        reel = await self._shelf.read_gops(clip_id, from_ms)
        return reel if reel is not None and reel.started_ms >= since_ms else None

    def _from_ms(self) -> int:
        return self._checks.who(self._browser, "history").right.from_ms
