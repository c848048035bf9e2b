"""Export of clips as plain MP4, fragmented MP4 or Annex B. Uses PyAV.

Nothing is re-encoded and NAL units are never changed, so all forms of a clip give the same GOP
leaves. Clips are never stored like this: they are made from the vault's fragments when one
is played or exported. pts count from the clip's first access unit, time base 1/90000.

Sound's first unit only primes the decoder: it lies before the clip, and an edit list says so
(ISO/IEC 14496-12 8.6.6), which every player heeds. A fragmented clip waits with its index for
the first fragment (`delay_moov`), because FFmpeg writes no edit list before.

A part of a clip counts its times from its own first picture. Its sound begins later than that,
by an empty edit, which counts in the movie's time: `MOVIE_HZ` is fine enough for both tracks.
"""

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from itertools import pairwise
from operator import itemgetter

import av
import av.container
from av.audio.stream import AudioStream
from av.stream import Stream
from av.video.stream import VideoStream

from firmware.capture.camera_output import TICKS_PER_S
from firmware.clips.fragment import ClipUnit, SoundUnit
from firmware.clips.record import DEFAULT_FRAME_90K
from firmware.protocol.footage import SOUND_UNIT_90K
from firmware.protocol.media.boxes import boxes, file_boxes, only, only_in_file
from firmware.protocol.media.byte_source import MemorySource
from firmware.protocol.media.rotation import MATRIX_BYTES, Rotation, matrix_begin, matrix_of
from firmware.protocol.media.tags import UNTAGGED, Tags
from firmware.sound.aac import BITRATE_BPS
from firmware.sound.frames import SAMPLE_RATE

TIME_BASE = Fraction(1, TICKS_PER_S)
FRAGMENT_US = 450_000
_FRAGMENTED = {
    "movflags": "empty_moov+default_base_moof+skip_trailer+delay_moov",
    "frag_duration": str(FRAGMENT_US),
}
MOVIE_HZ = 720_000
"""The least common multiple of 48,000 and 90,000."""


def plain_mp4(
    units: Iterable[ClipUnit],
    sound: Sequence[SoundUnit] = (),
    *,
    width: int,
    height: int,
    rotation: Rotation = 0,
    tags: Tags = UNTAGGED,
) -> bytes:
    """Return the clip as plain MP4 with its index in front, for players and for evidence.

    `units` and `sound` may be a part of a clip that begins later; their pts stay the clip's.
    """
    listed = list(units)
    options = {"moov_size": str(4096 + 40 * (len(listed) + len(sound)))}
    begin_90k = listed[0].pts_90k if listed else 0
    if begin_90k:
        options["movie_timescale"] = str(MOVIE_HZ)
        listed = [replace(unit, pts_90k=unit.pts_90k - begin_90k) for unit in listed]
        sound = [replace(unit, pts_90k=unit.pts_90k - begin_90k) for unit in sound]
    return _muxed(listed, sound, options, width=width, height=height, rotation=rotation, tags=tags)


def fragmented_mp4(
    units: Iterable[ClipUnit],
    sound: Sequence[SoundUnit] = (),
    *,
    width: int,
    height: int,
    rotation: Rotation = 0,
    tags: Tags = UNTAGGED,
) -> bytes:
    """Return the clip as fragmented MP4, for players that begin before they have all of it."""
    return _muxed(
        list(units), sound, _FRAGMENTED, width=width, height=height, rotation=rotation, tags=tags
    )


def annex_b(units: Iterable[ClipUnit]) -> Iterator[bytes]:
    """Yield the clip as a plain H.264 byte stream; its times are lost."""
    for unit in units:
        yield unit.data


def _muxed(
    units: list[ClipUnit],
    sound: Sequence[SoundUnit],
    options: dict[str, str],
    *,
    width: int,
    height: int,
    rotation: Rotation = 0,
    tags: Tags,
) -> bytes:
    output = io.BytesIO()
    with av.open(output, "w", "mp4", options=options) as container:
        container.metadata.update(_metadata(tags))
        film = _add_h264(container, width=width, height=height)
        packets = [
            (unit.pts_90k, _packet(film, unit, duration_90k))
            for unit, duration_90k in zip(units, _durations_90k(units), strict=True)
        ]
        if sound:
            track = _add_aac(container)
            packets += [(unit.pts_90k, _sound_packet(track, unit)) for unit in sound]
            packets.sort(key=itemgetter(0))
        for _, packet in packets:
            container.mux(packet)
    if rotation:
        _turn(output, matrix_of(rotation, width=width, height=height))
    return output.getvalue()


def _turn(output: io.BytesIO, matrix: bytes) -> None:
    """Write the film's matrix into a muxed file: PyAV can't set it."""
    moov = only_in_file(file_boxes(MemorySource(output.getvalue())), b"moov")
    with output.getbuffer() as data:
        for kind, trak in boxes(data[moov.begin : moov.end]):
            if kind == b"trak" and bytes(only(only(trak, b"mdia"), b"hdlr")[8:12]) == b"vide":
                tkhd = only(trak, b"tkhd")
                begin = matrix_begin(tkhd)
                tkhd[begin : begin + MATRIX_BYTES] = matrix


def _metadata(tags: Tags) -> dict[str, str]:
    """Return the tags as FFmpeg's muxer takes them; each track gets the movie's time."""
    metadata = {"title": tags.title} if tags.title else {}
    if tags.created_s is not None:
        metadata["creation_time"] = datetime.fromtimestamp(tags.created_s, UTC).isoformat()
    return metadata


def _add_h264(container: av.container.OutputContainer, *, width: int, height: int) -> VideoStream:
    stream = container.add_mux_stream("h264", width=width, height=height)
    if not isinstance(stream, VideoStream):
        raise TypeError("PyAV gave no video stream for h264")
    stream.time_base = TIME_BASE
    return stream


def _add_aac(container: av.container.OutputContainer) -> AudioStream:
    """Add a sound track; the encoder that PyAV makes for it only describes it."""
    stream = container.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
    if not isinstance(stream, AudioStream):
        raise TypeError("PyAV gave no sound stream for aac")
    stream.codec_context.bit_rate = BITRATE_BPS
    stream.time_base = TIME_BASE
    return stream


def _durations_90k(units: list[ClipUnit]) -> list[int]:
    """Return how long each picture lasts; the last as long as the one before it, as in manifests.

    Without it the film ends where the last picture begins, and one picture alone isn't shown.
    """
    lasting = [later.pts_90k - unit.pts_90k for unit, later in pairwise(units)]
    return [*lasting, lasting[-1] if lasting else DEFAULT_FRAME_90K][: len(units)]


def _packet(stream: VideoStream, unit: ClipUnit, duration_90k: int) -> "av.Packet[Stream]":
    packet = av.Packet(unit.data)
    packet.pts = packet.dts = unit.pts_90k
    packet.duration = duration_90k
    packet.time_base = TIME_BASE
    packet.is_keyframe = unit.is_key
    packet.stream = stream
    return packet


def _sound_packet(stream: AudioStream, unit: SoundUnit) -> "av.Packet[Stream]":
    packet = av.Packet(unit.data)
    packet.pts = packet.dts = unit.pts_90k
    packet.duration = SOUND_UNIT_90K
    packet.time_base = TIME_BASE
    packet.is_keyframe = True
    packet.stream = stream
    return packet
