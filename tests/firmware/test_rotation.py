"""A film that is coded as the sensor gives it is shown upright: by the matrix of its track."""

import io
import json
import struct
import subprocess
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from firmware.clips.fragment import ClipUnit
from firmware.clips.mp4 import fragmented_mp4, plain_mp4
from firmware.clips.playback import manifest_of
from firmware.clips.thumbnail import jpeg_of
from firmware.live.clip_source import LibraryClips
from firmware.protocol.encoding import WireError
from firmware.protocol.media.rotation import ROTATIONS, Rotation, matrix_of, rotation_of
from tests.fakes.footage import clip_units
from tests.fakes.marked_film import (
    HEIGHT,
    SHOWN_CORNER,
    WIDTH,
    MarkedCamera,
    bright_corner,
    shown_size,
)
from tests.fakes.media import mp4_of
from tests.fakes.recorder import recording_rig


@pytest.fixture(scope="module")
def units() -> list[ClipUnit]:
    return clip_units(MarkedCamera().film(20))


def shown_by_ffmpeg(mp4: bytes, path: Path) -> tuple[np.ndarray, int]:
    """Return the first picture as FFmpeg's player shows it, and the angle that ffprobe tells."""
    path.write_bytes(mp4)
    probe = ["ffprobe", "-v", "error", "-select_streams", "v", "-show_streams", "-of", "json"]
    told = json.loads(subprocess.run([*probe, path], check=True, capture_output=True).stdout)
    sides = told["streams"][0].get("side_data_list", [])
    command = ["ffmpeg", "-v", "error", "-i", path, "-frames:v", "1", "-f", "image2pipe"]
    png = subprocess.run(
        [*command, "-c:v", "pgm", "-pix_fmt", "gray", "-"], check=True, capture_output=True
    ).stdout
    _, size, _, pixels = png.split(b"\n", 3)
    width, height = map(int, size.split())
    picture = np.frombuffer(pixels, np.uint8).reshape(height, width)
    return picture, sides[0]["rotation"] if sides else 0


@pytest.mark.parametrize("rotation", ROTATIONS)
@pytest.mark.parametrize("write", [plain_mp4, fragmented_mp4])
def test_a_player_turns_the_marked_corner_where_it_belongs(
    write, rotation: Rotation, units: list[ClipUnit], tmp_path: Path
) -> None:
    mp4 = write(units, width=WIDTH, height=HEIGHT, rotation=rotation)
    picture, told = shown_by_ffmpeg(mp4, tmp_path / "clip.mp4")
    assert -told % 360 == rotation  # ffprobe counts the other way round
    assert picture.shape[::-1] == shown_size(rotation)
    assert bright_corner(picture) == SHOWN_CORNER[rotation]


@pytest.mark.parametrize("rotation", ROTATIONS)
def test_pyav_and_our_own_reader_tell_the_same_angle(rotation: Rotation, units) -> None:
    mp4 = plain_mp4(units, width=WIDTH, height=HEIGHT, rotation=rotation)
    with av.open(io.BytesIO(mp4)) as container:
        frame = next(container.decode(video=0))
    assert -frame.rotation % 360 == rotation
    assert mp4_of(mp4).rotation == rotation


def test_a_turned_film_has_the_same_bytes_but_for_its_matrix(units: list[ClipUnit]) -> None:
    upright = plain_mp4(units, width=WIDTH, height=HEIGHT)
    turned = plain_mp4(units, width=WIDTH, height=HEIGHT, rotation=90)
    matrices = [matrix_of(angle, width=WIDTH, height=HEIGHT) for angle in (90, 0)]
    assert turned.replace(*matrices) == upright


@pytest.mark.parametrize("rotation", ROTATIONS)
def test_a_clips_small_picture_is_upright(rotation: Rotation, units: list[ClipUnit]) -> None:
    jpeg = jpeg_of(units[:3], rotation)
    assert jpeg is not None
    picture = np.asarray(Image.open(io.BytesIO(jpeg)).convert("L"))
    assert picture.shape[::-1] == shown_size(rotation)
    assert bright_corner(picture) == SHOWN_CORNER[rotation]


async def test_a_camera_on_its_side_makes_clips_that_are_shown_upright(tmp_path: Path) -> None:
    async with recording_rig(tmp_path) as rig:
        rig.rotation = 270
        await rig.film(4)
        rig.press()
        await rig.film(3)
        clip = await rig.next_clip()
        mp4 = rig.playback.plain_mp4(clip)
        reel = await LibraryClips(rig.library, rig.playback).read_gops(clip.clip_id, 0)
        while (picture := rig.playback.picture(clip)) is None:
            await rig.film(0.1)
    assert mp4_of(mp4).rotation == 270
    assert reel is not None
    assert reel.rotation == 270
    assert Image.open(io.BytesIO(picture)).size == (64, 96)
    assert manifest_of(clip.signed_manifest).rotation == 270


def header(matrix: bytes, width: int = WIDTH << 16, height: int = HEIGHT << 16) -> memoryview:
    return memoryview(bytes(40) + matrix + struct.pack(">II", width, height))


STRANGE = {
    "mirrored": (-1, 0, 0, 0, 1, 0, WIDTH, 0),
    "transposed": (0, 1, 0, 1, 0, 0, 0, 0),
    "larger": (2, 0, 0, 0, 2, 0, 0, 0),
    "moved": (1, 0, 0, 0, 1, 0, 1, 0),
    "turned away from its place": (0, 1, 0, -1, 0, 0, 0, 0),
    "in perspective": (1, 0, 1, 0, 1, 0, 0, 0),
}


@pytest.mark.parametrize("numbers", STRANGE.values(), ids=STRANGE)
def test_any_other_matrix_is_refused(numbers: tuple[int, ...]) -> None:
    strange = struct.pack(">9i", *(number << 16 for number in numbers), 1 << 30)
    with pytest.raises(WireError, match="turned or stretched"):
        rotation_of(header(strange))


@pytest.mark.parametrize("bit", range(0, 36 * 8, 5))
def test_one_flipped_bit_is_refused(bit: int) -> None:
    matrix = bytearray(matrix_of(90, width=WIDTH, height=HEIGHT))
    matrix[bit // 8] ^= 1 << bit % 8
    with pytest.raises(WireError):
        rotation_of(header(bytes(matrix)))


def test_a_size_in_fractions_of_a_pixel_is_refused() -> None:
    with pytest.raises(WireError):
        rotation_of(header(matrix_of(0, width=WIDTH, height=HEIGHT), width=(WIDTH << 16) + 1))
