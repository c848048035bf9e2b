"""The check of a folder of copies: against its ledger, the doorbell's signatures, and its list.

Reads only, beside a running mirror too. Without the owner's private key it sees that each copy is
the one that was stored, and signed for by the doorbell; with the key, that each opens to exactly
what was signed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from firmware.companion.viewer.clip_requests import ClipLine
from firmware.companion.viewer.mirror.copies import SUFFIX, Limits, read_settings
from firmware.companion.viewer.mirror.errors import CopyFolderError, CopyRefused
from firmware.companion.viewer.mirror.ledger import Copied, Ledger
from firmware.companion.viewer.mirror.owner_key import public_of
from firmware.companion.viewer.mirror.progress import when_text
from firmware.companion.viewer.mirror.sealed_copy import FileSource, open_copy, read_copy
from firmware.protocol.encoding import WireError, b64u, unb64u


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong with one copy; `clip_id` "" if it is of none."""

    clip_id: str
    text: str


class CopyCheck:
    """Checks one folder."""

    def __init__(
        self, folder: Path, *, identity_spki: bytes | None = None, private_key: bytes | None = None
    ) -> None:
        """`identity_spki` is the doorbell's key where it is known otherwise than by the folder.

        CopyFolderError if the folder is none, its ledger is damaged, or it is another doorbell's.
        """
        self._folder = folder
        settings = read_settings(folder)
        self._spki = unb64u(settings.identity_key)
        if identity_spki is not None and identity_spki != self._spki:
            raise CopyFolderError(f"{folder} holds the recordings of another doorbell")
        self._private_key = private_key
        self._ledger = Ledger(folder, is_writable=False)

    @property
    def count(self) -> int:
        """How many copies the ledger names."""
        return len(self._ledger.copied)

    def faults(self) -> Iterator[Fault]:
        """Yield what is wrong, copy by copy; then files that the ledger doesn't name."""
        entries = sorted(self._ledger.copied.values(), key=lambda one: one.file)
        for entry in entries:
            try:
                self._check(entry)
            except (CopyRefused, WireError) as error:
                yield Fault(clip_id=entry.clip_id, text=f"{entry.file}: {error}")
        known = {entry.file for entry in entries}
        for path in sorted(self._folder.iterdir()):
            if path.suffix == SUFFIX and path.name not in known:
                text = f"{path.name}: the ledger doesn't name it; start the mirror, which enters it"
                yield Fault(clip_id="", text=text)

    def missing(
        self, listed: Sequence[ClipLine], limits: Limits, *, now_ms: int
    ) -> Iterator[Fault]:
        """Yield the clips that the doorbell lists and that were never copied."""
        for clip in listed:
            entry = self._ledger.copied.get(clip.clip_id) or self._ledger.removed.get(clip.clip_id)
            started_ms = clip.started_ms or 0
            if limits.is_too_old(started_ms, now_ms):
                continue
            if entry is None or entry.manifest_digest != clip.manifest_digest:
                text = f"the recording of {when_text(started_ms)} isn't here ({clip.clip_id})"
                yield Fault(clip_id=clip.clip_id, text=text)

    def _check(self, entry: Copied) -> None:
        source = FileSource(self._folder / entry.file)
        if source.size_bytes != entry.size_bytes or source.sha256_hex() != entry.sha256:
            raise CopyRefused("it isn't what was stored")
        copy = read_copy(source)
        if copy.header.identity_key != b64u(self._spki):
            raise CopyRefused("another doorbell signed it")
        if (copy.manifest.clip_id, copy.manifest_digest) != (entry.clip_id, entry.manifest_digest):
            raise CopyRefused("it holds another recording than the ledger says")
        if self._private_key is not None:
            open_copy(copy, self._private_key, public_of(self._private_key))
