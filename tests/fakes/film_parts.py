"""A film with a beep, described as a doorbell signs it, and any part of it as MP4."""

import io

import msgspec

from firmware.clips.fragment import ClipUnit, SoundUnit
from firmware.clips.mp4 import plain_mp4
from firmware.protocol.encoding import new_id
from firmware.protocol.footage import (
    NO_MASK_DIGEST,
    SOUND_UNIT_90K,
    SPAN_UNITS,
    ClipManifest,
    ClipTrigger,
    GopHasher,
    SoundHasher,
    merkle_root,
)
from firmware.protocol.released_part import ReleasedPart, check_part, part_within
from firmware.sound.aac import ClipEncoder
from tests.fakes.ffmpeg_reader import read_sound, read_units
from tests.fakes.footage import HEIGHT, WIDTH, TinyCamera, clip_units
from tests.fakes.heard import tone

STARTED_MS = 1_790_000_000_123
SECONDS = 8
NONE = "none: tried without"


class Film:
    """Eight seconds: silent but for a beep from 4.04 to 4.14 s."""

    def __init__(self) -> None:
        self.units = clip_units(TinyCamera().film(SECONDS))
        encoder = ClipEncoder(0)
        frames = tone(0, 4.04, volume=0) + tone(363_600, 0.1) + tone(372_600, 3.86, volume=0)
        data = [unit for frame in frames for unit in encoder.add(frame)] + encoder.finish()
        self.sound = [
            SoundUnit(pts_90k=(n - 1) * SOUND_UNIT_90K, data=unit) for n, unit in enumerate(data)
        ]
        self.manifest = self._describe()

    def _describe(self) -> ClipManifest:
        gops, spans = GopHasher(), SoundHasher()
        for unit in self.units:
            gops.add(unit.pts_90k, unit.is_key, unit.nal_units)
        for one in self.sound:
            spans.add(one.pts_90k, one.data)
        listed, sound = gops.finish(), spans.finish(lost_90k=0)
        last, before = self.units[-1].pts_90k, self.units[-2].pts_90k
        return ClipManifest(
            clip_id=new_id(),
            device="abcdefghijklmnop2345",
            boot_id=new_id(),
            counter=1,
            started_ms=STARTED_MS,
            is_clock_trusted=True,
            duration_90k=2 * last - before,
            width=WIDTH,
            height=HEIGHT,
            pre_roll_90k=0,
            ended="complete",
            lost_units=0,
            mask_digest=NO_MASK_DIGEST,
            triggers=[ClipTrigger(event_id=new_id(), kind="pressed", at_90k=0)],
            gops=listed,
            video_root=merkle_root(gop.leaf for gop in listed),
            sound=sound or msgspec.UNSET,
        )

    @property
    def ended_ms(self) -> int:
        return STARTED_MS + self.manifest.duration_90k // 90

    def within(self, from_ms: int, to_ms: int, *, with_sound: bool = True) -> ReleasedPart:
        return part_within(
            self.manifest, from_ms=from_ms, to_ms=to_ms, with_sound=with_sound, provenance=NONE
        )

    def pictures_of(self, part: ReleasedPart) -> list[ClipUnit]:
        begin = self.manifest.gops[part.first_gop].first_pts_90k
        after = part.first_gop + part.gop_count
        gops = self.manifest.gops
        end = gops[after].first_pts_90k if after < len(gops) else 10**9
        return [unit for unit in self.units if begin <= unit.pts_90k < end]

    def sound_of(self, part: ReleasedPart) -> list[SoundUnit]:
        begin = part.first_span * SPAN_UNITS
        return self.sound[begin : begin + part.span_count * SPAN_UNITS]

    def mp4(self, part: ReleasedPart) -> bytes:
        return plain_mp4(self.pictures_of(part), self.sound_of(part), width=WIDTH, height=HEIGHT)

    def check(self, part: ReleasedPart, mp4: bytes) -> None:
        check_part(self.manifest, part, read_units(io.BytesIO(mp4)), read_sound(mp4))


def from_gop(film: Film, gop: int) -> int:
    """Return the last whole millisecond that isn't after this GOP's begin: what an app signs."""
    return STARTED_MS + film.manifest.gops[gop].first_pts_90k // 90


def to_gop(film: Film, gop: int) -> int:
    """Return the first whole millisecond at which the GOP before this one has ended."""
    return STARTED_MS - -film.manifest.gops[gop].first_pts_90k // 90
