"""The check of one recording that its owner took from a copy at home, with no grant about it.

Shown is that a doorbell signed exactly these pictures and this sound, and when its clock said
that was. Which doorbell that is, is known by its id alone: nobody certified its key here.
"""

from pathlib import Path

from firmware.protocol.encoding import WireError, decode, device_id_of, unb64u
from firmware.protocol.footage import (
    MAX_MANIFEST_BYTES,
    ClipManifest,
    SignedManifest,
    check_manifest,
)
from firmware.protocol.media.byte_source import ByteSource
from firmware.protocol.media.mp4 import Mp4
from firmware.protocol.media.tags import tags_of_manifest
from firmware.protocol.passkeys import load_p256
from firmware.protocol.released_part import check_whole
from relay.verify.checks import Exit
from relay.verify.display_checks import check_display
from relay.verify.file_reader import FileSource, read_small
from relay.verify.wall_time import moment

CLIP_NAME, MANIFEST_NAME, KEY_NAME = "clip-1.mp4", "manifest-1.json", "doorbell-key.txt"
MAX_CLIP_BYTES = 256 * 1024 * 1024


class LoneRecordingFails(WireError):
    """A recording isn't what a doorbell signed; `code` says what fails."""

    def __init__(self, code: Exit, why: object) -> None:
        super().__init__(str(why))
        self.code = code


def check_lone_recording(folder: Path, device: str | None) -> ClipManifest:
    """Return a recording's manifest if all holds, and `device` made it where one is named.

    LoneRecordingFails says what fails; WireError or OSError that a file can't be read.
    """
    spki = unb64u(read_small(folder / KEY_NAME).decode("ascii", "replace").strip())
    signed = decode(
        SignedManifest, read_small(folder / MANIFEST_NAME), max_bytes=2 * MAX_MANIFEST_BYTES
    )
    clip = FileSource(folder / CLIP_NAME, max_bytes=MAX_CLIP_BYTES)
    try:
        load_p256(spki)
        manifest = check_manifest(signed, spki)
        if manifest.device != device_id_of(spki):
            raise WireError("the manifest names another doorbell than the one that signed it")
        if device is not None and manifest.device != device:
            raise WireError(f"the doorbell {manifest.device} recorded it, not {device}")
    except WireError as error:
        raise LoneRecordingFails(Exit.DEVICE, error) from error
    try:
        _check_file(manifest, clip)
    except WireError as error:
        raise LoneRecordingFails(Exit.PICTURES, error) from error
    return manifest


def recording_lines(manifest: ClipManifest) -> list[str]:
    """Return what is shown, and what isn't, for people."""
    begin = moment(manifest.started_ms)
    clock = "which was right" if manifest.is_clock_trusted else "which wasn't set"
    sound = "" if manifest.sound_track is None else " and its sound"
    return [
        f"The doorbell {manifest.device} signed all of its pictures{sound}, in this order.",
        f"It began at {begin} by the doorbell's clock, {clock}.",
        "Not shown: whose doorbell that is, and that it wasn't recorded later than it says.",
    ]


def _check_file(manifest: ClipManifest, clip: ByteSource) -> None:
    mp4 = Mp4(clip)
    check_whole(manifest, mp4.pictures(), mp4.sound())
    check_display(
        mp4,
        width=manifest.width,
        height=manifest.height,
        rotation=manifest.shown_rotation,
        created_1904_s=tags_of_manifest(manifest, 0).created_1904_s,
    )
