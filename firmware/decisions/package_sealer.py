"""Sealing of evidence packages of released grants; each is stored until it is in the bucket.

A package is made from a `Release` only. Which statement led to it, and who is notified, is
executor.py's.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol

import msgspec

from firmware.clips.library import Library
from firmware.clips.playback import Playback
from firmware.clips.record import manifest_of
from firmware.consent.facts import Grant, Refusal, Release
from firmware.enrolment.keys import DeviceKeys
from firmware.errors import DoorwardError, UploadError
from firmware.evidence.provenance import Claim, Provenance
from firmware.evidence.seal import (
    ClipMismatchError,
    ReleasedClip,
    granted_part,
    seal_release,
)
from firmware.outbox.deferred_events import DeferredEvents
from firmware.outbox.outgoing import Outgoing
from firmware.protocol.custody import COMMITTED_WITHIN_MS, CaptureProof, IdentityProof
from firmware.protocol.encoding import WireError
from firmware.protocol.events import PackageReady, PackageWithdrawn
from firmware.protocol.grants import ClipRange, GrantTerms
from firmware.protocol.register.extract import RegisterExtract
from firmware.protocol.releases import package_id_of

log = logging.getLogger(__name__)


class EvidenceRecord(Protocol):
    """The public logs' entries and proofs that a package carries."""

    def extract(self, request_digest: str) -> RegisterExtract:
        """Return what a package carries of the register for a request, or raise DoorwardError."""
        ...

    def capture_proof(self, clip_id: str) -> CaptureProof | None:
        """Return the proof that a clip was committed to in its slot, if there is one."""
        ...

    def identity_proof(self, begins_ms: Sequence[int]) -> IdentityProof | None:
        """Return a slot of an earlier day than recordings that began then, if there is one."""
        ...


class Sending(Protocol):
    """The uploads that end when a package is taken back (`firmware.decisions.uploads`)."""

    def end(self, package_id: str) -> None:
        """Send nothing more of a package: at once, in memory."""
        ...

    def announce_later(self, package_id: str) -> None:
        """Announce a package again after a while."""
        ...

    async def stop(self, package_id: str) -> None:
        """Send nothing more of a package, and delete it; OSError if storage doesn't do so yet."""
        ...


class PackageSealer:
    """Seals, deletes and takes back one doorbell's evidence packages."""

    def __init__(
        self,
        *,
        keys: DeviceKeys,
        certificate_pem: bytes,
        library: Library,
        playback: Playback,
        outgoing: Outgoing,
        promises: DeferredEvents,
        record: EvidenceRecord,
        uploads: Sending,
        provenance: Provenance | None = None,
    ) -> None:
        """`provenance` gives content credentials; by default as the doorbell's certificate can."""
        self._keys = keys
        self._certificate_pem = certificate_pem
        self._library = library
        self._playback = playback
        self._outgoing = outgoing
        self._promises = promises
        self._record = record
        self._uploads = uploads
        self._provenance = provenance or Provenance(
            signer=keys.signer, certificate_pem=certificate_pem
        )

    def is_kept(self, statement_digest: str) -> bool:
        """Return whether the package of this grant was sealed and kept before."""
        try:
            self._outgoing.announced(package_id_of(statement_digest))
        except UploadError:
            return False
        return True

    def is_there(self, statement_digest: str) -> bool:
        """Return whether anything of the grant's package is here, damaged or not."""
        return self._outgoing.has(package_id_of(statement_digest))

    def damaged(self) -> frozenset[str]:
        """Return the ids of the packages that storage damaged before they were in the bucket."""
        damaged = self._outgoing.damaged()
        return frozenset(one for one in damaged if not self._outgoing.is_uploaded(one))

    def discard(self, statement_digest: str) -> None:
        """Delete the package of a grant that was never announced."""
        self._outgoing.discard(package_id_of(statement_digest))

    def announced(self, statement_digest: str) -> PackageReady:
        """Return the announcement of a grant's stored package. Reads storage."""
        return self._outgoing.announced(package_id_of(statement_digest))

    def end(self, statement_digest: str) -> None:
        """Send nothing more of a grant's package until a restart, whatever storage does."""
        self._uploads.end(package_id_of(statement_digest))

    def announce_later(self, statement_digest: str) -> None:
        """Announce a package again that the relay doesn't take now."""
        self._uploads.announce_later(package_id_of(statement_digest))

    async def drop(self, statement_digest: str) -> None:
        """Delete a package that the relay doesn't take; OSError if storage doesn't do so yet."""
        await self._uploads.stop(package_id_of(statement_digest))

    async def take_back(self, statement_digest: str) -> None:
        """Ask the agency to erase a grant's package (R14), and delete it here.

        Raises OSError if storage doesn't delete it; the withdrawal is published all the same.
        """
        package_id = package_id_of(statement_digest)
        await self._promises.publish(PackageWithdrawn(package_id=package_id))
        await self._uploads.stop(package_id)

    def awaits_proof(self, terms: GrantTerms, now_ms: int) -> bool:
        """Return whether the log is still to prove that a granted clip was committed to.

        Only for so long after a clip's end as a doorbell takes that is on line. Reads storage.
        """
        for granted in terms.clips:
            record = self._library.find(granted.clip_id)
            if record is None or not 0 <= now_ms - record.ended_ms < COMMITTED_WITHIN_MS:
                continue
            if self._record.capture_proof(granted.clip_id) is None:
                return True
        return False

    async def seal(self, released: Release) -> PackageReady | Refusal:
        """Seal and store the package, and return its announcement."""
        package_id = package_id_of(released.grant.digest)
        try:
            clips = [
                await asyncio.to_thread(self._released_clip, clip, released.grant)
                for clip in released.grant.terms.clips
            ]
            extract = await asyncio.to_thread(
                self._record.extract, released.grant.signed_request.request_digest
            )
            sealed = await asyncio.to_thread(
                lambda: seal_release(
                    released,
                    clips,
                    package_id=package_id,
                    device=self._keys.device,
                    certificate_pem=self._certificate_pem,
                    extract=extract,
                    signer=self._keys.signer,
                    identity=self._identity(released.grant),
                )
            )
            return await asyncio.to_thread(
                lambda: self._outgoing.put(
                    package_id=package_id,
                    request_id=released.grant.request.id,
                    agency=released.grant.terms.recipient.agency,
                    opening=released.logged.opening,
                    sealed=sealed,
                )
            )
        except (ClipMismatchError, DoorwardError, OSError, WireError) as error:
            log.exception("a confirmed release could not be sealed")
            return Refusal(reason="clip_unknown", detail=f"it could not be sealed: {error}")

    def _identity(self, grant: Grant) -> IdentityProof | None:
        records = [self._library.find(clip.clip_id) for clip in grant.terms.clips]
        return self._record.identity_proof([one.started_ms for one in records if one is not None])

    def _released_clip(self, granted: ClipRange, grant: Grant) -> ReleasedClip:
        record = self._library.find(granted.clip_id)
        if record is None:
            raise ClipMismatchError(f"clip {granted.clip_id} is gone")
        part = granted_part(
            record.signed_manifest,
            granted,
            has_audio=grant.terms.has_audio,
            corrected_ms=record.corrected_ms,
        )
        claim = Claim(
            part=part,
            manifest_digest=granted.manifest_digest,
            grant_digest=grant.digest,
            is_trimmed=part.gop_count < len(manifest_of(record.signed_manifest).gops),
        )
        credited = self._provenance.credit(self._playback.plain_part(record, part), claim)
        return ReleasedClip(
            mp4=credited.mp4,
            part=msgspec.structs.replace(part, provenance=credited.provenance),
            manifest=record.signed_manifest,
            capture=self._record.capture_proof(granted.clip_id),
        )
