"""What an agency can prove from an opened package, computed here from the bytes alone.

Independent of both programs: the clip is demuxed by FFmpeg (PyAV), its digests are computed anew
and compared with the manifest that the doorbell signed.
"""

import io
from dataclasses import dataclass

import av
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from firmware.protocol.encoding import decode, device_id_of, sha256_hex
from firmware.protocol.footage import ClipManifest, Gop, GopHasher, SignedManifest, check_manifest
from firmware.protocol.grants import GrantTerms, SignedStatement, Statement
from firmware.protocol.nal_units import split_length_prefixed
from tests.story.settings import StoryError

PTS_PER_S = 90_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """A clip whose digests and signature hold."""

    manifest: ClipManifest
    gop_count: int
    duration_s: float

    def seconds_before(self, event_id: str) -> float:
        """Return how much video comes before what this event tells, or raise StoryError."""
        for trigger in self.manifest.triggers:
            if trigger.event_id == event_id:
                return trigger.at_90k / PTS_PER_S
        raise StoryError("the manifest doesn't name the press")


def verify_package(files: dict[str, bytes], identity_spki: bytes) -> list[Proven]:
    """Verify every clip of an opened package, or raise; the key is from pairing."""
    certified = x509.load_pem_x509_certificate(files["device.pem"]).public_key()
    spki = certified.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if spki != identity_spki:
        raise StoryError("the package's certificate is another doorbell's")
    grant = decode(SignedStatement, files["grant.json"])
    statement = decode(Statement, grant.statement.encode())
    if statement.device != device_id_of(identity_spki):
        raise StoryError("the grant is for another doorbell")
    if not isinstance(statement.terms, GrantTerms):
        raise StoryError("grant.json holds no grant")
    return [
        _verify_clip(
            files[f"clip-{number}.mp4"],
            files[f"manifest-{number}.json"],
            identity_spki,
            clip.manifest_digest,
        )
        for number, clip in enumerate(statement.terms.clips, 1)
    ]


def gops_of(mp4: bytes) -> list[Gop]:
    """Compute the GOP leaves of an MP4's video."""
    hasher = GopHasher()
    with av.open(io.BytesIO(mp4), "r") as container:
        stream = container.streams.video[0]
        first_pts: int | None = None
        for packet in container.demux(stream):
            if packet.pts is None or packet.time_base is None:
                continue
            pts_90k = round(packet.pts * packet.time_base * PTS_PER_S)
            first_pts = pts_90k if first_pts is None else first_pts
            hasher.add(
                pts_90k - first_pts, packet.is_keyframe, split_length_prefixed(bytes(packet))
            )
    return hasher.finish()


def is_first_frame_a_key_frame(mp4: bytes) -> bool:
    """Tell whether an MP4's video begins with a key frame that decodes."""
    with av.open(io.BytesIO(mp4), "r") as container:
        return bool(next(container.decode(video=0)).key_frame)


def _verify_clip(mp4: bytes, manifest: bytes, spki: bytes, granted_digest: str) -> Proven:
    signed = decode(SignedManifest, manifest, max_bytes=1024 * 1024)
    if sha256_hex(signed.manifest.encode()) != granted_digest:
        raise StoryError("the clip's manifest isn't the one that the owner granted")
    told = check_manifest(signed, spki)
    gops = gops_of(mp4)
    if gops != told.gops:
        raise StoryError("the clip's pictures aren't those that the doorbell signed for")
    if not is_first_frame_a_key_frame(mp4):
        raise StoryError("the clip doesn't begin with a key frame")
    return Proven(
        manifest=told,
        gop_count=len(gops),
        duration_s=told.duration_90k / PTS_PER_S,
    )
