"""The mirror: follows a doorbell's list of recordings, and copies what isn't in the folder yet.

    line stands ─► the whole list, page by page ─► every POLL_S the newest ─► hourly the whole list
         ▲                                                                        │
         └───────────── the doorbell is away: wait, longer each time ◄────────────┘

Newest first: after a gap, what happened last counts most. A clip that is complete here is never
asked for again, and one that broke off goes on where it broke. Nothing is kept before its pictures
and sound are known to be what the doorbell signed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from firmware.companion.viewer.clip_requests import (
    ClipLine,
    FetchedManifest,
    fetch_clip,
    list_clips,
)
from firmware.companion.viewer.clock import PlayerClock
from firmware.companion.viewer.errors import (
    NothingThere,
    RelayRefused,
    ViewerError,
    WrongRecording,
)
from firmware.companion.viewer.mirror.copies import DAY_MS, Copies, Limits
from firmware.companion.viewer.mirror.errors import FolderFull, MirrorError, RightEnded
from firmware.companion.viewer.mirror.ledger import Removed
from firmware.companion.viewer.mirror.progress import Progress, size_text, when_text
from firmware.companion.viewer.mirror.sealed_copy import check_footage, copy_bytes
from firmware.protocol.encoding import WireError

PAGE = 50
FIRST_LOOK = 4
POLL_S = 5.0
WHOLE_LIST_S = 3600.0
RENEW_S = 240.0
BACK_OFF_S = (2.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0)
FULL_S = 300.0
SKIPPED_S = 3600.0
"""So long a clip that can't be read, or isn't what was signed, isn't asked for again."""
ENDED = {"unknown_browser", "browser_expired", "not_allowed", "signature", "unauthenticated"}
"""Refusals that no waiting helps against: an owner has to let this player in (again)."""

Report = Callable[[Progress], None]
Sleep = Callable[[float], Awaitable[None]]


class MirrorLine(Protocol):
    """The open line (`firmware.companion.viewer.connection.DoorConnection`)."""

    def send_json(self, message: dict[str, object], /) -> None:
        """Send one message, or raise ConnectionBroken."""
        ...

    async def receive(self) -> str | bytes:
        """Return the next message, or raise ConnectionBroken."""
        ...

    def renew(self) -> None:
        """Prolong the session."""
        ...


OpenLine = Callable[[], AbstractAsyncContextManager[MirrorLine]]


class Mirror:
    """Copies one doorbell's recordings into one folder."""

    def __init__(
        self,
        copies: Copies,
        open_line: OpenLine,
        *,
        identity_spki: bytes,
        limits: Limits,
        clock: PlayerClock,
        report: Report,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._copies = copies
        self._open_line = open_line
        self._spki = identity_spki
        self._limits = limits
        self._clock = clock
        self._report = report
        self._sleep = sleep
        self._heard_ms = clock.wall_ms()
        self._newest_ms = copies.newest_ms
        self._failures = 0
        self._skipped = 0
        self._left_out: dict[str, float] = {}
        """Clips that aren't asked for before this moment of the monotonic clock."""
        self._begun: tuple[str, bytearray] | None = None

    async def run_once(self) -> int:
        """Copy all that is missing; return how many recordings couldn't be read or believed.

        Raises a ViewerError if that can't be.
        """
        try:
            async with self._open_line() as line:
                await self._renewed(line, self._copy_whole_list(line))
        except RelayRefused as error:
            raise _known(error) from error
        return self._skipped

    async def run(self) -> None:
        """Copy until cancelled.

        RightEnded once the doorbell lets this player in no more; CopyFolderError if the folder
        can't be used.
        """
        while True:
            try:
                async with self._open_line() as line:
                    await self._renewed(line, self._follow(line))
            except FolderFull as error:
                self._report(Progress(kind="full", text=str(error)))
                await self._sleep(FULL_S)
            except MirrorError:
                raise
            except ViewerError as error:
                if isinstance(error, RelayRefused) and error.code in ENDED:
                    raise _known(error) from error
                await self._wait(str(error))

    async def _follow(self, line: MirrorLine) -> None:
        while True:
            await self._copy_whole_list(line)
            again_s = self._clock.monotonic_s() + WHOLE_LIST_S
            while self._clock.monotonic_s() < again_s:
                await self._sleep(POLL_S)
                await self._copy_newest(line)

    async def _copy_whole_list(self, line: MirrorLine) -> None:
        skip = 0
        while True:
            page = await self._listed(line, limit=PAGE, skip=skip)
            if not skip:
                gone = self._copies.remove_old(self._limits, now_ms=self._sure_ms())
                self._say_removed(gone)
            for clip in page:
                await self._take(line, clip)
            if len(page) < PAGE:
                break
            skip += PAGE
        count, size_bytes = self._copies.count, self._copies.total_bytes
        self._report(
            Progress(
                kind="up_to_date",
                text=f"Up to date: {count} recordings here, {size_text(size_bytes)}.",
                facts={"count": count, "size_bytes": size_bytes},
            )
        )

    async def _copy_newest(self, line: MirrorLine) -> None:
        """Copy what is new, as far down the list as nothing is known."""
        limit, skip = FIRST_LOOK, 0
        while True:
            page = await self._listed(line, limit=limit, skip=skip)
            wanted = [clip for clip in page if self._is_wanted(clip)]
            for clip in wanted:
                await self._take(line, clip)
            if len(wanted) < limit:
                return
            limit, skip = PAGE, skip + limit

    async def _listed(self, line: MirrorLine, *, limit: int, skip: int) -> list[ClipLine]:
        page = await list_clips(line, limit=limit, skip=skip)
        if self._failures > 1:
            since_ms = self._heard_ms
            text = f"The doorbell is back; it was away since {when_text(since_ms)}."
            self._report(Progress(kind="back", text=text, facts={"since_ms": since_ms}))
        self._failures = 0
        self._heard_ms = self._clock.wall_ms()
        self._newest_ms = max([self._newest_ms, *(clip.started_ms or 0 for clip in page)])
        return page

    def _sure_ms(self) -> int:
        """Return the time by which copies are too old: at most a day after the newest recording.

        A clock of this machine that leaps ahead removes nothing, and keeps nothing out.
        """
        return min(self._clock.wall_ms(), self._newest_ms + DAY_MS)

    def _is_wanted(self, clip: ClipLine) -> bool:
        if self._copies.has(clip.clip_id, clip.manifest_digest):
            return False
        if self._left_out.get(clip.clip_id, 0.0) > self._clock.monotonic_s():
            return False
        started_ms = clip.started_ms
        return started_ms is None or not self._limits.is_too_old(started_ms, self._sure_ms())

    async def _take(self, line: MirrorLine, clip: ClipLine) -> None:
        """Copy one clip, unless it isn't wanted."""
        if not self._is_wanted(clip):
            return
        try:
            fetched, mp4 = await self._fetched(line, clip)
        except (NothingThere, WrongRecording) as error:
            self._leave_out(clip, SKIPPED_S)
            self._skipped += 1
            text = f"A recording is left out for an hour: {error}"
            facts: dict[str, int | str | None] = {"clip_id": clip.clip_id, "why": str(error)}
            self._report(Progress(kind="skipped", text=text, facts=facts))
            return
        await self._keep(clip, fetched, mp4)
        self._begun = None

    async def _fetched(self, line: MirrorLine, clip: ClipLine) -> tuple[FetchedManifest, bytes]:
        if self._begun is None or self._begun[0] != clip.clip_id:
            self._begun = (clip.clip_id, bytearray())
        data = self._begun[1]
        try:
            fetched = await fetch_clip(line, clip.clip_id, clip.manifest_digest, self._spki, data)
            mp4 = bytes(data)
            await asyncio.to_thread(check_footage, fetched.manifest, mp4)
        except (NothingThere, WrongRecording):
            self._begun = None
            raise
        except WireError as error:
            self._begun = None
            raise WrongRecording(str(error)) from error
        return fetched, mp4

    async def _keep(self, clip: ClipLine, fetched: FetchedManifest, mp4: bytes) -> None:
        now_ms, started_ms = self._clock.wall_ms(), fetched.manifest.started_ms
        gone = self._copies.make_room(
            self._limits,
            size_bytes=copy_bytes(len(mp4), fetched.signed),
            started_ms=started_ms,
            now_ms=now_ms,
        )
        if gone is None:
            self._leave_out(clip, float("inf"))
            when = when_text(started_ms)
            text = f"The recording of {when} is left out: the folder is full of newer ones."
            self._report(Progress(kind="left_out", text=text, facts={"clip_id": clip.clip_id}))
            return
        self._say_removed(gone)
        entry = await asyncio.to_thread(
            self._copies.store, mp4, fetched.signed, fetched.manifest, now_ms=now_ms
        )
        self._report(
            Progress(
                kind="copied",
                text=f"Copied the recording of {when_text(started_ms)}: {entry.file}",
                facts={
                    "clip_id": clip.clip_id,
                    "file": entry.file,
                    "started_ms": started_ms,
                    "size_bytes": entry.size_bytes,
                    "sha256": entry.sha256,
                    "manifest_digest": entry.manifest_digest,
                },
            )
        )

    def _leave_out(self, clip: ClipLine, seconds: float) -> None:
        self._left_out[clip.clip_id] = self._clock.monotonic_s() + seconds

    def _say_removed(self, gone: list[Removed]) -> None:
        for one in gone:
            why = "it is too old" if one.why == "age" else "newer ones need its room"
            text = f"Removed the copy of {one.clip_id}: {why}."
            facts: dict[str, int | str | None] = {"clip_id": one.clip_id, "why": one.why}
            self._report(Progress(kind="removed", text=text, facts=facts))

    async def _wait(self, why: str) -> None:
        wait_s = BACK_OFF_S[min(self._failures, len(BACK_OFF_S) - 1)]
        self._failures += 1
        if self._failures > 1:  # a line that breaks once is made anew without a word
            since_ms = self._heard_ms
            since = when_text(since_ms)
            self._report(
                Progress(
                    kind="away",
                    text=f"The doorbell is away since {since}: {why}. Next try in {wait_s:.0f} s.",
                    facts={"since_ms": since_ms, "why": why, "next_s": round(wait_s)},
                )
            )
        await self._sleep(wait_s)

    async def _renewed(self, line: MirrorLine, work: Coroutine[None, None, None]) -> None:
        """Do work while the line's session is renewed."""

        async def renew() -> None:
            while True:
                await asyncio.sleep(RENEW_S)
                line.renew()

        renewing = asyncio.create_task(renew(), name="renew the line")
        try:
            await work
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)


def _known(error: RelayRefused) -> ViewerError:
    """Return what a refusal means to a mirror."""
    if error.code not in ENDED:
        return error
    if error.code == "not_allowed":
        return RightEnded(
            "this player may not fetch recordings: in the owner's app under People, Other players, "
            "paste what `doorward-view code` prints, and choose All recordings"
        )
    return RightEnded(str(error))
