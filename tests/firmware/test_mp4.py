"""One clip as fragmented MP4, as plain MP4 and as Annex B is the same footage."""

import io
import json
import subprocess
from pathlib import Path

import av
import numpy as np
import pytest

from firmware.clips.fragment import ClipUnit, SoundUnit
from firmware.clips.mp4 import annex_b, fragmented_mp4, plain_mp4
from firmware.protocol.footage import SOUND_UNIT_90K, Gop, GopHasher
from firmware.protocol.nal_units import split_annex_b
from firmware.sound.aac import SILENT_UNIT, ClipEncoder
from tests.fakes.ffmpeg_reader import has_sound, read_units
from tests.fakes.footage import HEIGHT, WIDTH, TinyCamera, clip_units
from tests.fakes.heard import tone


@pytest.fixture(scope="module")
def units() -> list[ClipUnit]:
    return clip_units(TinyCamera().film(4))


def plain(units: list[ClipUnit]) -> bytes:
    return plain_mp4(units, width=WIDTH, height=HEIGHT)


def fragmented(units: list[ClipUnit]) -> bytes:
    return fragmented_mp4(units, width=WIDTH, height=HEIGHT)


def gops_of(units: list[ClipUnit]) -> list[Gop]:
    hasher = GopHasher()
    for unit in units:
        hasher.add(unit.pts_90k, unit.is_key, unit.nal_units)
    return hasher.finish()


def names_of_boxes(data: bytes) -> list[str]:
    names = []
    position = 0
    while position < len(data):
        names.append(data[position + 4 : position + 8].decode())
        position += int.from_bytes(data[position : position + 4], "big")
    return names


@pytest.mark.parametrize("form", [plain, fragmented])
def test_each_form_of_one_clip_gives_the_same_gop_leaves(form, units: list[ClipUnit]) -> None:
    leaves = gops_of(units)
    assert len(leaves) == 4
    assert gops_of(list(read_units(io.BytesIO(form(units))))) == leaves


def test_a_retimed_clip_gives_other_leaves(units: list[ClipUnit]) -> None:
    slow = [
        ClipUnit(pts_90k=unit.pts_90k * 2, is_key=unit.is_key, data=unit.data) for unit in units
    ]
    assert gops_of(list(read_units(io.BytesIO(plain(slow))))) != gops_of(units)


def test_the_byte_stream_has_every_nal_unit_in_order(units: list[ClipUnit]) -> None:
    stream = b"".join(annex_b(units))
    assert split_annex_b(stream) == [nal for unit in units for nal in unit.nal_units]


def test_the_plain_form_has_its_index_in_front_and_decodes(units: list[ClipUnit]) -> None:
    mp4 = plain(units)
    names = names_of_boxes(mp4)
    assert names.index("moov") < names.index("mdat")
    assert "moof" not in names
    with av.open(io.BytesIO(mp4)) as container:
        assert sum(1 for _ in container.decode(video=0)) == len(units)


@pytest.mark.parametrize("form", [plain, fragmented])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_clip_of_few_pictures_shows_them_all(form, count: int, units: list[ClipUnit]) -> None:
    """A film that ends the moment in which its last picture begins doesn't show it."""
    with av.open(io.BytesIO(form(units[:count]))) as container:
        assert sum(1 for _ in container.decode(video=0)) == count


def test_the_last_picture_lasts_as_long_as_the_manifest_says(units: list[ClipUnit]) -> None:
    with av.open(io.BytesIO(plain(units))) as container:
        duration_us = container.duration
    last, one_before = units[-1].pts_90k, units[-2].pts_90k
    assert duration_us is not None
    assert abs(duration_us - (2 * last - one_before) / 0.09) < 1_000


def test_the_index_of_the_longest_clip_still_fits_before_the_data() -> None:
    """The room for the index is estimated; frames of uneven length need the most of it."""
    mp4 = plain(clip_units(TinyCamera().film(120)))
    names = names_of_boxes(mp4)
    assert names.index("moov") < names.index("mdat")
    with av.open(io.BytesIO(mp4)) as container:
        assert sum(1 for packet in container.demux(video=0) if packet.size) == 1200


def test_the_fragmented_form_begins_with_its_index_and_has_short_fragments(
    units: list[ClipUnit],
) -> None:
    names = names_of_boxes(fragmented(units))
    assert names[:2] == ["ftyp", "moov"]
    assert names.count("moof") >= 8


SECOND = 90_000


@pytest.fixture(scope="module")
def sound() -> list[SoundUnit]:
    """Four seconds: silent but for a beep from 2.0 to 2.1 s."""
    encoder = ClipEncoder(0)
    frames = tone(0, 2, volume=0) + tone(2 * SECOND, 0.1) + tone(2 * SECOND + 9000, 1.9, volume=0)
    data = [unit for frame in frames for unit in encoder.add(frame)] + encoder.finish()
    return [SoundUnit(pts_90k=(n - 1) * SOUND_UNIT_90K, data=unit) for n, unit in enumerate(data)]


def plain_with(units: list[ClipUnit], sound: list[SoundUnit]) -> bytes:
    return plain_mp4(units, sound, width=WIDTH, height=HEIGHT)


def fragmented_with(units: list[ClipUnit], sound: list[SoundUnit]) -> bytes:
    return fragmented_mp4(units, sound, width=WIDTH, height=HEIGHT)


@pytest.mark.parametrize("form", [plain_with, fragmented_with])
def test_sound_changes_no_picture_and_no_picture_changes_sound(
    form, units: list[ClipUnit], sound: list[SoundUnit]
) -> None:
    mp4 = form(units, sound)
    assert gops_of(list(read_units(io.BytesIO(mp4)))) == gops_of(units)
    with av.open(io.BytesIO(mp4)) as container:
        packets = [packet for packet in container.demux(audio=0) if packet.size]
    assert [bytes(packet) for packet in packets] == [unit.data for unit in sound]
    assert [packet.pts for packet in packets[:3]] == [-1024, 0, 1024]
    assert has_sound(mp4)
    assert not has_sound(plain(units))


@pytest.mark.parametrize("form", [plain_with, fragmented_with])
def test_a_player_hears_the_beep_when_it_was(
    form, units: list[ClipUnit], sound: list[SoundUnit]
) -> None:
    """Seen to fail, by 21 ms, with the first unit's time in mp4.py put to zero."""
    with av.open(io.BytesIO(form(units, sound))) as container:
        assert container.streams.video[0].start_time == 0
        frames = list(container.decode(audio=0))
    loud = [
        (frame.pts + int(np.flatnonzero(np.abs(frame.to_ndarray()[0]) > 0.1)[0])) / 48_000
        for frame in frames
        if np.abs(frame.to_ndarray()[0]).max() > 0.1
    ]
    assert loud[0] == pytest.approx(2.0, abs=0.003)


def test_the_index_of_the_longest_clip_with_sound_still_fits_before_the_data() -> None:
    film = clip_units(TinyCamera().film(120))
    silence = [
        SoundUnit(pts_90k=(n - 1) * SOUND_UNIT_90K, data=SILENT_UNIT) for n in range(120 * 47)
    ]
    names = names_of_boxes(plain_with(film, silence))
    assert names.index("moov") < names.index("mdat")


def test_ffprobe_finds_a_sound_track_that_plays_by_default(
    units: list[ClipUnit], sound: list[SoundUnit], tmp_path: Path
) -> None:
    """Safari takes AAC-LC in an enabled track of an isom file; this is what there is to see of it.

    FFmpeg here reads what FFmpeg's library wrote, so the boxes are looked at as well.
    """
    mp4 = plain_with(units, sound)
    (tmp_path / "clip.mp4").write_bytes(mp4)
    facts = json.loads(
        subprocess.run(
            ["ffprobe", "-v", "error", "-show_streams", "-of", "json", tmp_path / "clip.mp4"],
            check=True,
            capture_output=True,
        ).stdout
    )
    track = next(stream for stream in facts["streams"] if stream["codec_type"] == "audio")
    kind = track["codec_name"], track["profile"], track["codec_tag_string"]
    assert kind == ("aac", "LC", "mp4a")
    assert (track["sample_rate"], track["channels"]) == ("48000", 1)
    assert track["disposition"]["default"] == 1
    assert mp4[4:8] == b"ftyp"
    assert b"isom" in mp4[8:32]
    headers = [mp4[at + 4 : at + 8] for at in places_of(b"tkhd", mp4)]
    assert all(header[3] & 1 for header in headers), "a track isn't enabled"
    handlers = [mp4[at + 12 : at + 16] for at in places_of(b"hdlr", mp4)]
    assert handlers[:2] == [b"vide", b"soun"]
    assert bytes.fromhex("1188") in mp4[mp4.index(b"esds") :][:64]


def places_of(name: bytes, data: bytes) -> list[int]:
    return [at for at in range(len(data)) if data.startswith(name, at)]
