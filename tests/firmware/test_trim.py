"""A part of a clip leaves as whole groups of pictures, and keeps its proof."""

import io
import json
import subprocess
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import av
import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.clips.mp4 import plain_mp4
from firmware.clips.record import ClipRecord
from firmware.protocol.encoding import WireError
from firmware.protocol.footage import SOUND_UNIT_90K, check_manifest
from firmware.protocol.released_part import check_part, part_within
from tests.fakes.ffmpeg_reader import read_sound, read_units
from tests.fakes.film_parts import SECONDS, STARTED_MS, Film, from_gop, to_gop
from tests.fakes.footage import HEIGHT, WIDTH
from tests.fakes.heard import HandFeed, tone
from tests.fakes.recorder import RecordingRig, Shelves, running
from tests.fakes.waiting import eventually


@pytest.fixture(scope="module")
def film() -> Film:
    return Film()


def test_a_range_is_rounded_inwards_to_whole_groups_of_pictures(film: Film) -> None:
    part = film.within(STARTED_MS + 1_500, STARTED_MS + 6_500)
    assert (part.first_gop, part.gop_count) == (2, 4)
    begin, end = (film.manifest.gops[n].first_pts_90k // 90 for n in (2, 6))
    assert 1_500 <= begin < end <= 6_500


def test_the_whole_range_is_the_whole_clip(film: Film) -> None:
    part = film.within(STARTED_MS, film.ended_ms)
    assert (part.first_gop, part.gop_count) == (0, SECONDS)
    assert film.manifest.sound_track is not None
    assert (part.first_span, part.span_count) == (0, len(film.manifest.sound_track.spans))
    mp4 = film.mp4(part)
    assert mp4 == plain_mp4(film.units, film.sound, width=WIDTH, height=HEIGHT)
    film.check(part, mp4)


def test_one_millisecond_less_is_one_group_less(film: Film) -> None:
    assert film.within(STARTED_MS + 1, film.ended_ms).first_gop == 1
    assert film.within(STARTED_MS, film.ended_ms - 1).gop_count == SECONDS - 1


@pytest.mark.parametrize(
    ("from_ms", "to_ms"), [(1_100, 1_900), (0, 900), (-5_000, 0), (9_000, 12_000), (5_000, 2_000)]
)
def test_a_range_without_a_whole_group_gives_nothing(film: Film, from_ms: int, to_ms: int) -> None:
    with pytest.raises(WireError, match="no whole group of pictures"):
        film.within(STARTED_MS + from_ms, STARTED_MS + to_ms)


@settings(max_examples=300, deadline=None)
@given(st.integers(-2_000, 10_000), st.integers(-2_000, 10_000), st.booleans())
def test_nothing_outside_a_range_is_ever_in_its_part(
    from_ms: int, to_ms: int, with_sound: bool
) -> None:
    film = FILM
    try:
        part = film.within(STARTED_MS + from_ms, STARTED_MS + to_ms, with_sound=with_sound)
    except WireError:
        borders = [gop.first_pts_90k for gop in film.manifest.gops] + [film.manifest.duration_90k]
        whole = [a >= from_ms * 90 and b <= to_ms * 90 for a, b in pairwise(borders)]
        assert not any(whole)
        return
    pictures, sound = film.pictures_of(part), film.sound_of(part)
    assert pictures[0].is_key
    assert from_ms * 90 <= pictures[0].pts_90k
    assert pictures[-1].pts_90k < to_ms * 90
    assert bool(sound) <= with_sound
    if sound and part.first_gop:
        assert sound[0].pts_90k >= pictures[0].pts_90k
    if sound and part.first_gop + part.gop_count < SECONDS:
        after = film.manifest.gops[part.first_gop + part.gop_count].first_pts_90k
        assert sound[-1].pts_90k + SOUND_UNIT_90K <= after


FILM = Film()


@pytest.mark.parametrize("first", range(SECONDS))
@pytest.mark.parametrize("with_sound", [True, False])
def test_each_part_decodes_alone_and_keeps_its_leaves(
    film: Film, first: int, with_sound: bool
) -> None:
    for last in range(first, SECONDS):
        to_ms = film.ended_ms if last == SECONDS - 1 else to_gop(film, last + 1)
        part = film.within(from_gop(film, first), to_ms, with_sound=with_sound)
        assert (part.first_gop, part.gop_count) == (first, last - first + 1)
        mp4 = film.mp4(part)
        film.check(part, mp4)
        with av.open(io.BytesIO(mp4)) as container:
            pictures = sum(1 for _ in container.decode(video=0))
        assert pictures == len(film.pictures_of(part))


def test_the_bytes_hold_nothing_of_the_groups_around(film: Film) -> None:
    """Each picture's and each sound's own bytes are the canaries."""
    part = film.within(from_gop(film, 3), to_gop(film, 6))
    mp4 = film.mp4(part)
    inside = {unit.pts_90k for unit in film.pictures_of(part)}
    for unit in film.units:
        for nal in unit.nal_units:
            if nal[0] & 0x1F in (1, 5):
                assert (nal in mp4) == (unit.pts_90k in inside)
    heard = {unit.data for unit in film.sound_of(part)}
    for one in film.sound:
        if one.data not in heard and len(one.data) > 12:
            assert one.data not in mp4


def test_a_parts_sound_is_heard_when_it_was(film: Film) -> None:
    """Seen to fail by 0.1 ms with the movie's usual timescale, of milliseconds."""
    part = film.within(from_gop(film, 2), to_gop(film, 7))
    assert part.first_span > 0
    whole = film.within(STARTED_MS, film.ended_ms)
    begin_s = film.manifest.gops[2].first_pts_90k / 90_000
    beep_s = beep_in(film.mp4(part))
    assert beep_s + begin_s == pytest.approx(beep_in(film.mp4(whole)), abs=2e-5)
    assert beep_s + begin_s == pytest.approx(4.04, abs=0.003)


def beep_in(mp4: bytes) -> float:
    with av.open(io.BytesIO(mp4)) as container:
        assert container.streams.video[0].start_time == 0
        for frame in container.decode(audio=0):
            loud = np.flatnonzero(np.abs(frame.to_ndarray()[0]) > 0.1)
            if loud.size:
                return float(frame.pts * frame.time_base) + int(loud[0]) / 48_000
    raise AssertionError("no beep")


def test_ffprobe_plays_a_part_from_zero_on(film: Film, tmp_path: Path) -> None:
    part = film.within(from_gop(film, 2), to_gop(film, 7))
    (tmp_path / "part.mp4").write_bytes(film.mp4(part))
    probe = ["ffprobe", "-v", "error", "-count_frames", "-show_streams", "-show_format"]
    told = subprocess.run(
        [*probe, "-of", "json", tmp_path / "part.mp4"], check=True, capture_output=True
    )
    assert told.stderr == b""
    facts = json.loads(told.stdout)
    video, audio = facts["streams"]
    assert float(video["start_time"]) == 0
    assert int(video["nb_read_frames"]) == len(film.pictures_of(part)) == 50
    assert float(audio["start_time"]) == pytest.approx(
        (film.sound_of(part)[0].pts_90k - film.manifest.gops[2].first_pts_90k) / 90_000, abs=2e-5
    )
    assert float(facts["format"]["duration"]) == pytest.approx(5, abs=0.01)


# What a file could be that isn't the part --------------------------------------------------------


def test_another_part_than_it_says_is_found(film: Film) -> None:
    part = film.within(from_gop(film, 2), to_gop(film, 5))
    other = film.within(from_gop(film, 3), to_gop(film, 6))
    with pytest.raises(WireError, match="differ from what was signed, from part 4 on"):
        film.check(other, film.mp4(part))


@pytest.mark.parametrize("change", ["drop", "double", "swap", "retime", "cut", "foreign"])
def test_pictures_that_are_not_the_parts_are_found(film: Film, change: str) -> None:
    part = film.within(from_gop(film, 2), to_gop(film, 5), with_sound=False)
    units = film.pictures_of(part)
    match change:
        case "drop":
            del units[7]
        case "double":
            units.insert(8, replace(units[7], pts_90k=units[7].pts_90k + 100))
        case "swap":
            units[3], units[4] = (
                replace(units[3], data=units[4].data),
                replace(units[4], data=units[3].data),
            )
        case "retime":
            units[5] = replace(units[5], pts_90k=units[5].pts_90k + 90)
        case "cut":
            units = units[:-1]
        case "foreign":
            units[-1] = replace(units[-1], data=film.units[-1].data)
    mp4 = plain_mp4(units, width=WIDTH, height=HEIGHT)
    with pytest.raises(WireError, match="the pictures differ"):
        film.check(part, mp4)


@pytest.mark.parametrize("change", ["missing", "shifted", "shorter", "foreign", "added"])
def test_sound_that_is_not_the_parts_is_found(film: Film, change: str) -> None:
    part = film.within(from_gop(film, 2), to_gop(film, 7), with_sound=change != "added")
    sound = film.sound_of(film.within(from_gop(film, 2), to_gop(film, 7)))
    match change:
        case "missing":
            sound = []
        case "shifted":
            sound = [replace(one, pts_90k=one.pts_90k + 90) for one in sound]
        case "shorter":
            sound = sound[:-1]
        case "foreign":
            sound[50] = replace(sound[50], data=film.sound[200].data + b"x")
    mp4 = plain_mp4(film.pictures_of(part), sound, width=WIDTH, height=HEIGHT)
    with pytest.raises(WireError, match="sound"):
        film.check(part, mp4)


@pytest.mark.parametrize(
    "changes",
    [
        {"first_gop": 7},
        {"gop_count": 100},
        {"first_span": 900},
        {"span_count": 900},
        {"clip_id": "d" * 26},
    ],
)
def test_a_part_that_the_clip_has_not_is_found(film: Film, changes: dict) -> None:
    part = film.within(from_gop(film, 2), to_gop(film, 7))
    with pytest.raises(WireError):
        film.check(msgspec.structs.replace(part, **changes), film.mp4(part))


def test_sound_of_a_clip_that_has_none_is_found(film: Film) -> None:
    silent = msgspec.structs.replace(film.manifest, sound=msgspec.UNSET)
    part = film.within(from_gop(film, 2), to_gop(film, 7), with_sound=False)
    pictures = list(read_units(io.BytesIO(film.mp4(part))))
    check_part(silent, part, pictures, [])
    loud = msgspec.structs.replace(part, span_count=3)
    with pytest.raises(WireError, match="isn't of this clip"):
        check_part(silent, loud, pictures, [])


# From the card -----------------------------------------------------------------------------------


@pytest.fixture
async def kept(tmp_path: Path) -> tuple[Shelves, ClipRecord]:
    """A clip with sound in a doorbell's vault."""
    feed = HandFeed()
    rig = RecordingRig(tmp_path, feed=feed)
    async with running(rig):
        await eventually(lambda: feed.has_readers)
        for step in range(100):
            if step == 40:
                rig.press()
            feed.put(tone(rig.now_90k, 0.1))
            await rig.film(0.1)
        clip = await rig.next_clip()
    return Shelves(tmp_path, signer=rig.signer), clip


async def test_a_part_of_a_clip_in_the_vault_comes_out_as_it_was_signed(
    kept: tuple[Shelves, ClipRecord],
) -> None:
    shelves, clip = kept
    manifest = check_manifest(clip.signed_manifest, shelves.signer.spki)
    for begin_ms, end_ms in ((0, 3_200), (900, 4_400), (2_000, clip.duration_ms)):
        part = part_within(
            manifest,
            from_ms=clip.started_ms + begin_ms,
            to_ms=clip.started_ms + end_ms,
            with_sound=True,
            provenance="c2pa",
        )
        assert part.span_count > 0
        mp4 = shelves.playback.plain_part(clip, part)
        check_part(manifest, part, read_units(io.BytesIO(mp4)), read_sound(mp4))
        silent = msgspec.structs.replace(part, first_span=0, span_count=0)
        assert read_sound(shelves.playback.plain_part(clip, silent)) == []
