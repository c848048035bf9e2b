"""One clip of real H.264 as a doorbell keeps it: plain MP4, and a manifest that it signed."""

from dataclasses import dataclass

from firmware.clips.fragment import ClipUnit
from firmware.clips.mp4 import plain_mp4
from firmware.enrolment.keys import DeviceKeys
from firmware.live.feed import ClipFile, ClipSummary
from firmware.protocol.encoding import b64u, new_id, sha256_hex
from firmware.protocol.footage import (
    MANIFEST_TAG,
    NO_MASK_DIGEST,
    ClipManifest,
    ClipTrigger,
    GopHasher,
    SignedManifest,
    merkle_root,
)
from firmware.protocol.nal_units import split_annex_b
from tests.fakes.footage import FPS, HEIGHT, WIDTH, TinyCamera, clip_units
from tests.fakes.porch import CLIP_ID, OneClip


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedClip:
    """The clip, and how its event tells of it."""

    file: ClipFile
    digest: str
    started_ms: int
    duration_ms: int
    picture_count: int
    manifest: ClipManifest


class SignedShelf(OneClip):
    """A shelf with the one clip, once `record` has made it.

    Padding makes the file as large as those of real cameras; it is no part of the recording.
    """

    def __init__(self, *, padding_bytes: int = 0) -> None:
        super().__init__()
        self._padding_bytes = padding_bytes
        self.clip: SignedClip | None = None

    def record(
        self, keys: DeviceKeys, *, seconds: float, started_ms: int, clip_id: str = CLIP_ID
    ) -> SignedClip:
        """Film so long, and sign it with the doorbell's identity key."""
        self.units = list(clip_units(TinyCamera().film(seconds)))
        mp4 = plain_mp4(self.units, width=WIDTH, height=HEIGHT) + _free_box(self._padding_bytes)
        manifest = _manifest(self.units, keys.device, started_ms, clip_id)
        text = manifest.encode()
        signed = SignedManifest(
            manifest=text.decode(), signature=b64u(keys.signer.sign(MANIFEST_TAG + text))
        )
        digest = sha256_hex(text)
        self.clip = SignedClip(
            file=ClipFile(
                mp4=mp4,
                manifest_digest=digest,
                manifest=signed,
                started_ms=started_ms,
                dating="trusted",
            ),
            digest=digest,
            started_ms=started_ms,
            duration_ms=len(self.units) * 1000 // FPS,
            picture_count=len(self.units),
            manifest=manifest,
        )
        return self.clip

    def newest(self, limit: int, skip: int = 0) -> list[ClipSummary]:
        if self.clip is None:
            return []
        line = ClipSummary(
            clip_id=CLIP_ID,
            started_ms=self.clip.started_ms,
            duration_ms=self.clip.duration_ms,
            manifest_digest=self.clip.digest,
            pre_roll_ms=0,
        )
        return [line][skip : skip + limit]

    async def plain_mp4(self, clip_id: str) -> ClipFile | None:
        return self.clip.file if self.clip is not None and clip_id == CLIP_ID else None


def _free_box(size_bytes: int) -> bytes:
    """ISO/IEC 14496-12 8.1.2: to be ignored."""
    return (8 + size_bytes).to_bytes(4, "big") + b"free" + bytes(size_bytes)


def _manifest(units: list[ClipUnit], device: str, started_ms: int, clip_id: str) -> ClipManifest:
    hasher = GopHasher()
    for unit in units:
        hasher.add(unit.pts_90k, unit.is_key, split_annex_b(unit.data))
    gops = hasher.finish()
    return ClipManifest(
        clip_id=clip_id,
        device=device,
        boot_id=new_id(),
        counter=1,
        started_ms=started_ms,
        is_clock_trusted=True,
        duration_90k=len(units) * 90_000 // FPS,
        width=WIDTH,
        height=HEIGHT,
        pre_roll_90k=0,
        ended="complete",
        lost_units=0,
        mask_digest=NO_MASK_DIGEST,
        triggers=[ClipTrigger(event_id=new_id(), kind="pressed", at_90k=9000)],
        gops=gops,
        video_root=merkle_root(gop.leaf for gop in gops),
    )
