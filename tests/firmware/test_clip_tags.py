"""When it was recorded, and a title, in what people take out: the same from each writer."""

import io
import json
import shutil
import struct
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import av
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from firmware.clips.mp4 import fragmented_mp4, plain_mp4
from firmware.protocol.media.tags import EPOCH_1904_S, LAST_MS, Tags, tags_of, tags_of_manifest
from tests.fakes.film_parts import STARTED_MS, Film
from tests.fakes.footage import HEIGHT, WIDTH
from tests.fakes.media import access_units, mp4_of, sound_units, written_mp4

LAST_S = 2**32 - 1 - EPOCH_1904_S
"""The last second that fits an MP4 of 32 bits: 2040-02-06 06:28:15 UTC."""


@pytest.fixture(scope="module")
def film() -> Film:
    return Film()


def by_the_doorbell(film: Film, tags: Tags) -> bytes:
    return plain_mp4(film.units, film.sound, width=WIDTH, height=HEIGHT, tags=tags)


def by_a_trim(film: Film, tags: Tags) -> bytes:
    mp4 = by_the_doorbell(film, tags)
    units, sound = access_units(mp4), sound_units(mp4) or []
    return written_mp4(units, sound, width=WIDTH, height=HEIGHT, tags=tags)


def times_in(mp4: bytes) -> set[tuple[int, int, int]]:
    """Return version, creation and modification time of each header that has them."""
    moov, found = bytes(mp4_of(mp4).moov), set()
    for kind in (b"mvhd", b"tkhd", b"mdhd"):
        at = -1
        while (at := moov.find(kind, at + 1)) >= 0:
            found.add((moov[at + 4], *struct.unpack_from(">II", moov, at + 8)))
    return found


def metadata_of(mp4: bytes) -> dict[str, str]:
    with av.open(io.BytesIO(mp4)) as container:
        return dict(container.metadata)


@pytest.mark.parametrize("write", [by_the_doorbell, by_a_trim])
def test_says_when_it_was_recorded_and_by_which_doorbell(film: Film, write) -> None:
    mp4 = write(film, tags_of_manifest(film.manifest))
    assert times_in(mp4) == {(0, *[STARTED_MS // 1000 + EPOCH_1904_S] * 2)}
    said = metadata_of(mp4)
    assert said["title"] == "Doorbell 2345, 2026-09-21 14:13:20 UTC"
    assert datetime.fromisoformat(said["creation_time"]).timestamp() == STARTED_MS // 1000


@pytest.mark.parametrize("write", [by_the_doorbell, by_a_trim])
def test_a_clock_that_was_not_set_says_no_time(film: Film, write) -> None:
    mp4 = write(film, tags_of_manifest(replace(film.manifest, is_clock_trusted=False)))
    assert times_in(mp4) == {(0, 0, 0)}
    said = metadata_of(mp4)
    assert said["title"] == "Doorbell 2345"
    assert "creation_time" not in said


@pytest.mark.parametrize("write", [by_the_doorbell, by_a_trim])
def test_a_date_beyond_2040_is_in_the_title_alone(film: Film, write) -> None:
    """FFmpeg writes such a date as one in 1904: seen with the limit taken out of tags.py."""
    late = replace(film.manifest, started_ms=(LAST_S + 1) * 1000)
    mp4 = write(film, tags_of_manifest(late))
    assert times_in(mp4) == {(0, 0, 0)}
    assert metadata_of(mp4)["title"] == "Doorbell 2345, 2040-02-06 06:28:16 UTC"
    last = replace(film.manifest, started_ms=LAST_S * 1000 + 999)
    assert times_in(write(film, tags_of_manifest(last))) == {(0, 2**32 - 1, 2**32 - 1)}


def test_a_part_begins_when_its_first_picture_was_taken(film: Film) -> None:
    begin_ms = STARTED_MS + film.manifest.gops[3].first_pts_90k // 90
    assert tags_of_manifest(film.manifest, 3).created_s == begin_ms // 1000


def test_a_fragmented_export_says_the_same(film: Film) -> None:
    tags = tags_of_manifest(film.manifest)
    mp4 = fragmented_mp4(film.units, film.sound, width=WIDTH, height=HEIGHT, tags=tags)
    said = metadata_of(mp4)
    assert (said["title"], said["creation_time"][:19]) == (tags.title, "2026-09-21T14:13:20")


@given(started_ms=st.integers(0, LAST_MS), begin_90k=st.integers(0, 54_000_000))
@example(started_ms=LAST_MS, begin_90k=54_000_000)
@example(started_ms=LAST_S * 1000 + 999, begin_90k=90)
def test_what_is_said_is_right_or_nothing(started_ms: int, begin_90k: int) -> None:
    tags = tags_of(device="abcd", started_ms=started_ms, is_clock_trusted=True, begin_90k=begin_90k)
    begin_ms = started_ms + begin_90k // 90
    assert tags.created_1904_s in (0, begin_ms // 1000 + EPOCH_1904_S)
    assert tags.created_1904_s <= 2**32 - 1
    assert (tags.created_1904_s != 0) == (begin_ms // 1000 <= LAST_S)
    if begin_ms <= LAST_MS:
        assert f"{datetime.fromtimestamp(begin_ms // 1000, UTC):%Y-%m-%d %H:%M:%S}" in tags.title
    else:
        assert tags.title == "Doorbell abcd"


@pytest.mark.parametrize("write", [by_the_doorbell, by_a_trim])
def test_ffprobe_finds_both(film: Film, write, tmp_path: Path) -> None:
    if shutil.which("ffprobe") is None:
        pytest.skip("ffprobe isn't here: apt-get install ffmpeg")
    (tmp_path / "clip.mp4").write_bytes(write(film, tags_of_manifest(film.manifest)))
    command = ["ffprobe", "-v", "error", "-show_format", "-show_streams", "-of", "json"]
    done = subprocess.run([*command, tmp_path / "clip.mp4"], check=True, capture_output=True)
    facts = json.loads(done.stdout)
    tags = [facts["format"]["tags"], *(stream["tags"] for stream in facts["streams"])]
    assert {one["creation_time"] for one in tags} == {"2026-09-21T14:13:20.000000Z"}
    assert tags[0]["title"] == "Doorbell 2345, 2026-09-21 14:13:20 UTC"
