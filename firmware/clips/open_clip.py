"""The clip that is being written: its sealed file and its description. On the writer's thread.

Sound that can't be encoded ends the clip's sound, never the clip.
"""

import logging
import time
from collections.abc import Callable, Iterable

from firmware.capture.camera_output import AccessUnit
from firmware.clips.fragment import ClipUnit, SoundPart, SoundUnit, encode_fragment, encode_sound
from firmware.clips.playback import Footage
from firmware.clips.record import ClipEnd, ClipStart, Ended
from firmware.protocol.footage import SOUND_UNIT_90K, SignedManifest
from firmware.sound.aac import ClipEncoder, SoundEncoder
from firmware.sound.errors import SoundError
from firmware.sound.frames import SoundFrame
from firmware.vault.sealed_file import Kind, SealedWriter

log = logging.getLogger(__name__)


class OpenClip:
    """Gathers access units into fragments. After an OSError `file.write_rest` tries again."""

    def __init__(
        self,
        start: ClipStart,
        first_pts_90k: int,
        file: SealedWriter,
        make_encoder: Callable[[int], SoundEncoder] = ClipEncoder,
    ) -> None:
        """`make_encoder` gets the pts at which the clip begins; the first sound wants it."""
        self.start = start
        self.first_pts_90k = first_pts_90k
        self.file = file
        self._footage = Footage()
        self._units: list[ClipUnit] = []
        self._units_since_s = 0.0
        self._make_encoder = make_encoder
        self._encoder: SoundEncoder | None = None
        self._sound: list[SoundUnit] = []
        self._next_sound_90k = -SOUND_UNIT_90K
        self._is_deaf = False
        self._synced_bytes = 0
        self._written_to_90k: int | None = None
        self.synced_to_90k: int | None = None
        """The pts, in the clip, of the last access unit that is certainly durable."""
        self._unsynced_since_s: float | None = None

    @property
    def span_90k(self) -> int:
        """The duration of the open fragment."""
        return self._units[-1].pts_90k - self._units[0].pts_90k if self._units else 0

    @property
    def age_s(self) -> float | None:
        """The age of the open fragment's first unit; None if there is none."""
        return time.monotonic() - self._units_since_s if self._units else None

    @property
    def unsynced_bytes(self) -> int:
        """The bytes written and not synced."""
        return self.file.size_bytes - self._synced_bytes

    @property
    def unsynced_s(self) -> float:
        """Seconds since the oldest write that isn't synced."""
        since_s = self._unsynced_since_s
        return 0.0 if since_s is None else time.monotonic() - since_s

    def mark(self, start: ClipStart) -> None:
        """Write the clip's metadata; the last such record counts."""
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

    def add_sound(self, frames: Iterable[SoundFrame]) -> None:
        """Encode these frames; they are written with the open fragment."""
        self._encode(lambda encoder: [unit for frame in frames for unit in encoder.add(frame)])

    def end_sound(self) -> None:
        """Encode what the encoder still holds."""
        if self._encoder is not None:
            self._encode(lambda encoder: encoder.finish())

    def close_fragment(self) -> None:
        """Seal and write the open fragment, if there is anything in it, and its sound behind it."""
        if self._units:
            units, self._units = self._units, []
            self._written_to_90k = units[-1].pts_90k
            self._append(Kind.FRAGMENT, encode_fragment(units))
        if self._sound and self._encoder is not None:
            part = SoundPart(units=self._sound, lost_90k=self._encoder.lost_90k)
            self._sound = []
            self._footage.add_sound(part)
            self._append(Kind.SOUND, encode_sound(part))

    def close_rest(self) -> None:
        """After an OSError of `close_fragment`: write what is sealed, and close on."""
        self.file.write_rest()
        self.close_fragment()

    def sync(self) -> None:
        """Sync: return once all that was written is durable."""
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

    def _encode(self, step: Callable[[SoundEncoder], list[bytes]]) -> None:
        if self._is_deaf:
            return
        try:
            self._encoder = self._encoder or self._make_encoder(self.first_pts_90k)
            encoded = step(self._encoder)
        except SoundError:
            log.exception("clip %s goes on without sound", self.start.clip_id)
            self._is_deaf = True
            return
        for data in encoded:
            self._sound.append(SoundUnit(pts_90k=self._next_sound_90k, data=data))
            self._next_sound_90k += SOUND_UNIT_90K

    def _append(self, kind: Kind, plain: bytes) -> None:
        if self._unsynced_since_s is None:
            self._unsynced_since_s = time.monotonic()
        self.file.append(kind, plain)
