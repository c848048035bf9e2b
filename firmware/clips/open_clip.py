"""The clip that is being written: its sealed file and its growing description. Writer's thread."""

import time

from firmware.capture.packets import AccessUnit
from firmware.clips.fragment import ClipUnit, encode_fragment
from firmware.clips.playback import Footage
from firmware.clips.record import ClipEnd, ClipStart, Ended
from firmware.protocol.footage import SignedManifest
from firmware.vault.sealed_file import Kind, SealedWriter


class OpenClip:
    """Gathers access units into fragments. After an OSError `file.write_rest` tries again."""

    def __init__(self, start: ClipStart, first_pts_90k: int, file: SealedWriter) -> None:
        self.start = start
        self.first_pts_90k = first_pts_90k
        self.file = file
        self._footage = Footage()
        self._units: list[ClipUnit] = []
        self._units_since_s = 0.0
        self._synced_bytes = 0
        self._written_to_90k: int | None = None
        self.synced_to_90k: int | None = None
        """The pts, in the clip, of the last access unit that is certainly on the card."""
        self._unsynced_since_s: float | None = None

    @property
    def span_90k(self) -> int:
        """How much video the open fragment holds."""
        return self._units[-1].pts_90k - self._units[0].pts_90k if self._units else 0

    @property
    def age_s(self) -> float | None:
        """How long the open fragment's first unit has waited; None if there is none."""
        return time.monotonic() - self._units_since_s if self._units else None

    @property
    def unsynced_bytes(self) -> int:
        """How much was written and not synced."""
        return self.file.size_bytes - self._synced_bytes

    @property
    def unsynced_s(self) -> float:
        """For how long something has been written and not synced."""
        since_s = self._unsynced_since_s
        return 0.0 if since_s is None else time.monotonic() - since_s

    def mark(self, start: ClipStart) -> None:
        """Write what is known of the clip; the last such record counts."""
        self.start = start
        self._append(Kind.START, start.encode())

    def add(self, unit: AccessUnit) -> None:
        """Take one unit into the open fragment."""
        if not self._units:
            self._units_since_s = time.monotonic()
        taken = ClipUnit(
            pts_90k=unit.pts_90k - self.first_pts_90k, is_key=unit.is_key, data=unit.data
        )
        self._footage.add(taken)
        self._units.append(taken)

    def close_fragment(self) -> None:
        """Seal and write the open fragment, if there is anything in it."""
        if self._units:
            units, self._units = self._units, []
            self._written_to_90k = units[-1].pts_90k
            self._append(Kind.FRAGMENT, encode_fragment(units))

    def sync(self) -> None:
        """Return once all that was written is on the card."""
        self.file.sync()
        self._synced_bytes = self.file.size_bytes
        self._unsynced_since_s = None
        self.synced_to_90k = self._written_to_90k

    def end(self, ended: Ended, *, lost_units: int) -> ClipEnd | None:
        """Return the description of what was written, or None if nothing was."""
        return self._footage.end(
            ended=ended, lost_units=lost_units, size_bytes=self.file.size_bytes
        )

    def seal(self, signed: SignedManifest) -> None:
        """Write the last record, which says that nothing is missing."""
        self._append(Kind.END, signed.encode())

    def _append(self, kind: Kind, plain: bytes) -> None:
        if self._unsynced_since_s is None:
            self._unsynced_since_s = time.monotonic()
        self.file.append(kind, plain)
