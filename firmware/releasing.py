"""Seals what was released and keeps the package until it is in the bucket.

Its only way in is a `Release`. Which statement led to it, and who is told, is statements.py.
"""

import asyncio
import base64
import hashlib
import logging

from firmware.clips.library import Library
from firmware.clips.playback import Playback
from firmware.consent.facts import Refusal, Release
from firmware.enrolment.keys import DeviceKeys
from firmware.errors import DoorwardError, TicketRefused
from firmware.evidence.seal import ClipMismatchError, ReleasedClip, seal_release
from firmware.outbox.outgoing import Outgoing
from firmware.protocol.events import PackageReady

log = logging.getLogger(__name__)


class Releasing:
    """Makes one doorbell's packages."""

    def __init__(
        self,
        *,
        keys: DeviceKeys,
        certificate_pem: bytes,
        library: Library,
        playback: Playback,
        outgoing: Outgoing,
    ) -> None:
        self._keys = keys
        self._certificate_pem = certificate_pem
        self._library = library
        self._playback = playback
        self._outgoing = outgoing

    def is_kept(self, statement_digest: str) -> bool:
        """Tell whether the package of this grant was sealed and kept before."""
        try:
            self._outgoing.announced(package_id_of(statement_digest))
        except TicketRefused:
            return False
        return True

    async def seal(self, released: Release) -> PackageReady | Refusal:
        """Seal and keep the package, and return what announces it."""
        package_id = package_id_of(released.grant.digest)
        try:
            clips = [
                await asyncio.to_thread(
                    self._released_clip, clip.clip_id, with_sound=released.grant.terms.has_audio
                )
                for clip in released.grant.terms.clips
            ]
            sealed = await asyncio.to_thread(
                lambda: seal_release(
                    released,
                    clips,
                    package_id=package_id,
                    device=self._keys.device,
                    certificate_pem=self._certificate_pem,
                )
            )
            return await asyncio.to_thread(
                lambda: self._outgoing.put(
                    package_id=package_id,
                    request_id=released.grant.request.id,
                    agency=released.grant.terms.recipient.agency,
                    sealed=sealed,
                )
            )
        except (ClipMismatchError, DoorwardError, OSError) as error:
            log.exception("a confirmed release could not be sealed")
            return Refusal(reason="clip_unknown", detail=f"it could not be sealed: {error}")

    def _released_clip(self, clip_id: str, *, with_sound: bool) -> ReleasedClip:
        record = self._library.find(clip_id)
        if record is None:
            raise ClipMismatchError(f"clip {clip_id} is gone")
        mp4 = self._playback.plain_mp4(record, with_sound=with_sound)
        return ReleasedClip(clip_id=clip_id, mp4=mp4, manifest=record.signed_manifest)


def package_id_of(statement_digest: str) -> str:
    """Return the one package id that a grant can ever lead to."""
    raw = hashlib.sha256(b"doorward/package-id/v1\x00" + bytes.fromhex(statement_digest)).digest()
    return base64.b32encode(raw).decode().lower()[:26]
