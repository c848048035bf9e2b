"""A clip's thumbnail: the picture of its first trigger, as a small sealed JPEG.

Made after the clip is listed, on any thread; a clip whose picture can't be made has none.
"""

import logging
from collections.abc import Iterable, Iterator

import av.error

from firmware.capture.jpeg import fitting_jpeg, last_picture
from firmware.clips.fragment import ClipUnit
from firmware.clips.library import Library
from firmware.clips.playback import ClipReader
from firmware.clips.record import ClipRecord, manifest_of
from firmware.errors import DoorwardError, VaultError
from firmware.protocol.encoding import WireError
from firmware.protocol.media.rotation import Rotation
from firmware.vault.sealed_file import Kind, Vault, is_torn

log = logging.getLogger(__name__)

MAX_BYTES = 24_000
TRIES = tuple((width, quality) for width in (320, 240, 160) for quality in (3, 6, 10, 16, 24, 31))


class Thumbnails:
    """Makes the thumbnails of a library's clips."""

    def __init__(self, library: Library, vault: Vault) -> None:
        self._library = library
        self._vault = vault

    def make(self, record: ClipRecord) -> bool:
        """Make the clip's picture unless it is there; False if none can be made."""
        if self.is_there(record):
            return True
        path = self._library.picture_path_of(record.clip_id)
        path.unlink(missing_ok=True)
        manifest = manifest_of(record.signed_manifest)
        reader = ClipReader(self._vault.open(record.path))
        gop = _up_to(manifest.triggers[0].at_90k, _readable(reader))
        picture = jpeg_of(gop, manifest.shown_rotation)
        if picture is None:
            log.warning("clip %s: no picture could be made", record.clip_id)
            return False
        file = self._vault.create(path, record.clip_id, "thumbnail")
        try:
            file.append(Kind.PICTURE, picture)
            file.sync()
        finally:
            file.close()
        if self._library.find(record.clip_id) is None:  # removed in the meantime
            path.unlink(missing_ok=True)
        return True

    def make_missing(self) -> int:
        """Make the thumbnails that are missing or torn after a crash or full storage.

        Return how many. Takes a while.
        """
        made_count = 0
        for record in self._library.in_order():
            if is_torn(self._library.picture_path_of(record.clip_id)):
                try:
                    made_count += self.make(record)
                except (OSError, DoorwardError, WireError) as error:
                    log.warning("clip %s has no thumbnail: %s", record.clip_id, error)
        return made_count

    def is_there(self, record: ClipRecord) -> bool:
        """Return whether the clip has a picture that can be opened."""
        path = self._library.picture_path_of(record.clip_id)
        try:
            return any(r.kind is Kind.PICTURE for r in self._vault.open(path).records())
        except (OSError, VaultError):
            return False


def jpeg_of(gop: list[ClipUnit], rotation: Rotation = 0) -> bytes | None:
    """Return the last picture of these units (a GOP or its beginning) as a small upright JPEG."""
    try:
        frame = last_picture(unit.data for unit in gop)
        if frame is None:
            return None
        return fitting_jpeg(frame, TRIES, MAX_BYTES, rotation=rotation)
    except av.error.FFmpegError as error:
        log.warning("a picture could not be decoded: %s", error)
    return None


def _up_to(at_90k: int, units: Iterable[ClipUnit]) -> list[ClipUnit]:
    """Return the GOP that shows at this moment, up to the picture itself."""
    gop: list[ClipUnit] = []
    for unit in units:
        if unit.pts_90k > at_90k and gop:
            break
        if unit.is_key:
            gop = []
        gop.append(unit)
    return gop


def _readable(reader: ClipReader) -> Iterator[ClipUnit]:
    try:
        yield from reader.units()
    except VaultError:
        return
