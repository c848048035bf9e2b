"""From a `Release` to the sealed evidence package: the one way out for a clip to an agency.

The gate is in the type: only `consent.release` makes a `Release`. Which keys can open the
package, and whether sound leaves, is taken from the owner's signed grant, never from anywhere
else. Uploading belongs to outbox/, the format to protocol/packages.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from firmware.clips.mp4 import has_sound
from firmware.consent.facts import Release
from firmware.protocol.encoding import sha256_hex
from firmware.protocol.footage import SignedManifest
from firmware.protocol.packages import seal_package


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasedClip:
    """One clip as it leaves: plain MP4 and its signed manifest.

    The MP4 has no sound unless the grant gives it.
    """

    clip_id: str
    mp4: bytes
    manifest: SignedManifest


class ClipMismatchError(Exception):
    """What the library handed over isn't what the owner signed for."""


def seal_release(
    release: Release,
    clips: Sequence[ReleasedClip],
    *,
    package_id: str,
    device: str,
    certificate_pem: bytes,
) -> bytes:
    """Return the package of exactly the grant's clips, in its order, for its recipients only."""
    terms = release.grant.terms
    granted = [(clip.clip_id, clip.manifest_digest) for clip in terms.clips]
    offered = [(clip.clip_id, sha256_hex(clip.manifest.manifest.encode())) for clip in clips]
    if granted != offered:
        raise ClipMismatchError("the library's clips aren't the ones of the grant")
    if not terms.has_audio and any(has_sound(clip.mp4) for clip in clips):
        raise ClipMismatchError("a clip has sound, which the grant doesn't give")
    files: dict[str, bytes] = {}
    for number, clip in enumerate(clips, start=1):
        files[f"clip-{number}.mp4"] = clip.mp4
        files[f"manifest-{number}.json"] = clip.manifest.encode()
    files["request.json"] = release.grant.signed_request.encode()
    files["grant.json"] = release.grant.signed.encode()
    files["device.pem"] = certificate_pem
    return seal_package(
        package_id=package_id,
        device=device,
        agency=terms.recipient.agency,
        grant_digest=release.grant.digest,
        recipients=list(terms.recipient.sealing_keys),
        files=files,
    )
