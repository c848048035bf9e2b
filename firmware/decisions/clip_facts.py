"""Clip fact collector: what consent's rules read of each clip, shown or deleted. Judges nothing."""

from collections.abc import Sequence

from firmware.clips.library import Library
from firmware.clips.record import ClipRecord
from firmware.consent.facts import ClipFact
from firmware.decisions.holds import HeldClips
from firmware.protocol.encoding import decode
from firmware.protocol.footage import MAX_MANIFEST_BYTES, ClipManifest
from firmware.store.clip_choices import ClipChoices


class ClipFactCollector:
    """Collects the facts of one doorbell's clips. Its methods read storage: not on the loop."""

    def __init__(self, *, library: Library, choices: ClipChoices, max_kept_bytes: int) -> None:
        """`max_kept_bytes`: so much of the card all kept clips may fill."""
        self.max_kept_bytes = max_kept_bytes
        self._library = library
        self._choices = choices

    def shown(self, holding: HeldClips) -> dict[str, ClipFact]:
        """Return the facts of the finished clips that no owner deleted, by id."""
        return self._facts(self._library.finished(), holding)

    def deleted(self, holding: HeldClips) -> dict[str, ClipFact]:
        """Return the facts of the clips whose deletion can still be taken back, by id."""
        return self._facts(self._library.deleted(), holding)

    def _facts(self, records: Sequence[ClipRecord], holding: HeldClips) -> dict[str, ClipFact]:
        kept_by = self._choices.kept_by()
        return {
            clip.clip_id: ClipFact(
                manifest_digest=clip.manifest_digest,
                started_ms=clip.started_ms,
                ended_ms=clip.ended_ms,
                has_sound=_has_sound(clip.signed_manifest.manifest),
                size_bytes=clip.size_bytes,
                held_by=holding.of(clip),
                kept_by=kept_by.get(clip.clip_id, frozenset()),
            )
            for clip in records
        }


def _has_sound(manifest: str) -> bool:
    """Return whether the clip has sound, by the manifest, which this doorbell signed itself."""
    # Most have none; a manifest is parsed only where the word is in it.
    if '"sound":' not in manifest:
        return False
    told = decode(ClipManifest, manifest.encode(), max_bytes=MAX_MANIFEST_BYTES)
    return told.sound_track is not None
