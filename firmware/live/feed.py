"""The interfaces between live view and its sources: the camera's feed and the clips.

`firmware.capture` and `firmware.clips` satisfy them; app wires them. Nothing here touches a
network.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from firmware.protocol.footage import SignedManifest
from firmware.protocol.media.rotation import Rotation

Dating = Literal["trusted", "unknown", "dated", "latest"]
"""How a clip's time is known, as `firmware.clips.record` has it."""


class Unit(Protocol):
    """One H.264 access unit in Annex B, as `firmware.capture.camera_output.AccessUnit`."""

    @property
    def pts_90k(self) -> int:
        """Presentation time on the monotonic clock, in 1/90000 s."""
        ...

    @property
    def is_key(self) -> bool:
        """Whether this is a key frame, where decoding can begin."""
        ...

    @property
    def data(self) -> bytes:
        """The NAL units behind start codes; SPS and PPS before each key frame."""
        ...


class UnitStream(Protocol):
    """One reader's bounded queue of access units, as `firmware.capture.unit_hub.Subscription`.

    It begins at a key frame. A reader that is too slow loses what is queued and goes on at the
    next key frame, so nobody ever waits for it.
    """

    @property
    def dropped_units(self) -> int:
        """The number of access units dropped so far because the reader was slow."""
        ...

    async def __anext__(self) -> Unit:
        """Return the next access unit; raise StopAsyncIteration after `close`."""
        ...

    def close(self) -> None:
        """End it; may be called twice."""
        ...


class UnitFeed(Protocol):
    """The running camera, as `firmware.capture.unit_hub.UnitHub`."""

    def subscribe(self, name: str, *, max_units: int) -> UnitStream:
        """Return the access units from the next key frame on."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipSummary:
    """One entry of the list of clips."""

    clip_id: str
    started_ms: int
    duration_ms: int
    manifest_digest: str
    pre_roll_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipFile:
    """One whole clip as plain MP4, and what the doorbell signed about it."""

    mp4: bytes
    manifest_digest: str
    manifest: SignedManifest
    started_ms: int
    """When it began, as the library has it now: its manifest may be older than a set clock."""
    dating: Dating


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipGops:
    """One clip's GOPs, to be played from a key frame on.

    `gops` yields each GOP's access units once they are known to be what the manifest says, and
    ends early if one isn't or can't be read. Their pts count from the clip's beginning.
    """

    from_ms: int
    """Where it begins: the key frame at or before what was asked for."""
    started_ms: int
    """When the clip began, as the library has it now."""
    duration_ms: int
    gops: AsyncIterator[Sequence[Unit]]
    rotation: Rotation = 0
    """By how many degrees clockwise its pictures are turned to be shown."""


class ClipSource(Protocol):
    """The finished clips."""

    def newest(self, limit: int, skip: int = 0) -> Sequence[ClipSummary]:
        """Return at most `limit` clips, newest first, after `skip` newer ones."""
        ...

    async def plain_mp4(self, clip_id: str) -> ClipFile | None:
        """Return one clip, or None if there is none of that id."""
        ...

    async def read_gops(self, clip_id: str, from_ms: int) -> ClipGops | None:
        """Return one clip from this moment on, or None if there is none of that id."""
        ...
