"""The sealing of a `Release` as an evidence package: the one way of a clip to an agency.

The gate is in the type: only `consent.release` makes a `Release`. Which keys can open the
package, which part of each clip leaves, and whether sound does, is taken from the owner's signed
grant, never from anywhere else: each MP4 is read once more, as it is about to leave, and held
against it. Uploading belongs to outbox/, the format to protocol/packages.py.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from firmware.clips.record import manifest_of
from firmware.consent.facts import Release
from firmware.evidence.manifest import Signer
from firmware.protocol.contents import (
    CONTENTS_NAME,
    SignedContents,
    contents_message,
    contents_of,
)
from firmware.protocol.custody import CaptureProof, IdentityProof, ReleaseProof
from firmware.protocol.encoding import WireError, b64u, sha256_hex
from firmware.protocol.footage import SignedManifest
from firmware.protocol.grants import ClipRange
from firmware.protocol.media.byte_source import MemorySource
from firmware.protocol.media.mp4 import Mp4
from firmware.protocol.packages import seal_package_pieces
from firmware.protocol.register.extract import RegisterExtract
from firmware.protocol.released_part import ReleasedPart, check_part, part_within


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasedClip:
    """One released clip: plain MP4, which part of the clip it is, and its signed manifest.

    The MP4 has no sound unless the grant gives it. `capture` proves that the manifest was committed
    to soon after it was recorded; None where the public log couldn't be reached then.
    """

    mp4: bytes
    part: ReleasedPart
    manifest: SignedManifest
    capture: CaptureProof | None = None


class ClipMismatchError(Exception):
    """A clip from the library doesn't match the grant that the owner signed."""


def granted_part(
    manifest: SignedManifest,
    granted: ClipRange,
    *,
    has_audio: bool,
    corrected_ms: int,
    provenance: str = "none: -",
) -> ReleasedPart:
    """Return which part of a clip the grant gives; ClipMismatchError if it gives none.

    `corrected_ms` is how much later it began than its manifest says (`ReleasedPart`).
    """
    try:
        return part_within(
            manifest_of(manifest),
            from_ms=granted.from_ms,
            to_ms=granted.to_ms,
            with_sound=has_audio,
            provenance=provenance,
            corrected_ms=corrected_ms,
        )
    except WireError as error:
        raise ClipMismatchError(f"clip {granted.clip_id} can't be given: {error}") from error


def seal_release(
    release: Release,
    clips: Sequence[ReleasedClip],
    *,
    package_id: str,
    device: str,
    certificate_pem: bytes,
    extract: RegisterExtract,
    signer: Signer,
    identity: IdentityProof | None = None,
) -> Iterator[bytes]:
    """Return the package of exactly the grant's clips, in its order, for its recipients only.

    All is checked before this returns; the package is sealed piece by piece as it is read.
    `identity` shows that the doorbell was there before the recordings, where it can.
    """
    terms = release.grant.terms
    granted = [(clip.clip_id, clip.manifest_digest) for clip in terms.clips]
    offered = [(clip.part.clip_id, sha256_hex(clip.manifest.manifest.encode())) for clip in clips]
    if granted != offered:
        raise ClipMismatchError("the library's clips aren't the ones of the grant")
    for clip, range_ in zip(clips, terms.clips, strict=True):
        _check_clip(clip, range_, has_audio=terms.has_audio)
    files: dict[str, bytes] = {}
    for number, clip in enumerate(clips, start=1):
        files[f"clip-{number}.mp4"] = clip.mp4
        files[f"manifest-{number}.json"] = clip.manifest.encode()
        files[f"part-{number}.json"] = clip.part.encode()
        if clip.capture is not None:
            files[f"capture-{number}.json"] = clip.capture.encode()
    files["request.json"] = release.grant.signed_request.encode()
    files["grant.json"] = release.grant.signed.encode()
    files["device.pem"] = certificate_pem
    files["register.json"] = extract.encode()
    if identity is not None:
        files["identity.json"] = identity.encode()
    logged = release.logged
    files["release.json"] = ReleaseProof(
        record=logged.opening.record,
        salt_g=logged.opening.salt_g,
        salt_d=logged.opening.salt_d,
        proof=logged.proof.decode(),
    ).encode()
    text = contents_of(
        files, package_id=package_id, device=device, grant_digest=release.grant.digest
    ).encode()
    files[CONTENTS_NAME] = SignedContents(
        contents=text.decode(), signature=b64u(signer.sign(contents_message(text)))
    ).encode()
    return seal_package_pieces(
        package_id=package_id,
        device=device,
        agency=terms.recipient.agency,
        grant_digest=release.grant.digest,
        recipients=list(terms.recipient.sealing_keys),
        files=files,
    )


def _check_clip(clip: ReleasedClip, granted: ClipRange, *, has_audio: bool) -> None:
    """Return if the bytes hold what the grant gives of this clip and nothing else."""
    try:
        mp4 = Mp4(MemorySource(clip.mp4))
    except WireError as error:
        raise ClipMismatchError(f"a clip can't be read: {error}") from error
    if not has_audio and mp4.has_sound:
        raise ClipMismatchError("a clip has sound, which the grant doesn't give")
    due = granted_part(
        clip.manifest,
        granted,
        has_audio=has_audio,
        corrected_ms=clip.part.corrected_ms,
        provenance=clip.part.provenance,
    )
    if clip.part != due:
        raise ClipMismatchError("a clip holds another part than the grant gives")
    try:
        check_part(manifest_of(clip.manifest), clip.part, mp4.pictures(), mp4.sound())
    except WireError as error:
        raise ClipMismatchError(f"a clip isn't what its manifest says: {error}") from error
