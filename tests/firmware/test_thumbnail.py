"""A clip's picture shows the moment of its trigger, is small, and lies sealed."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from firmware.capture.i420 import Planes
from firmware.capture.x264 import Encoder
from firmware.clips.crash_recovery import close_open_clips
from firmware.clips.fragment import ClipUnit
from firmware.clips.thumbnail import MAX_BYTES, jpeg_of
from tests.fakes.footage import HEIGHT, WIDTH, clip_units
from tests.fakes.recording import RecordingRig, Shelves, recording_rig


class BrighteningCamera:
    """Implements `tests.fakes.footage.TinyCamera.film`: each picture is lighter than the last."""

    def __init__(self, rig: RecordingRig) -> None:
        self._encoder = Encoder(WIDTH, HEIGHT, 10, 400_000)
        self._pts_90k = rig.now_90k
        self.level = 20

    def film(self, seconds: float) -> list:
        units = []
        for _ in range(round(seconds * 10)):
            array = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
            array[:HEIGHT] = self.level
            units += self._encoder.encode(Planes(array, WIDTH, HEIGHT), self._pts_90k)
            self._pts_90k += 9_000
            self.level += 2
        return units


async def test_it_is_the_triggers_own_picture_and_not_the_pre_rolls_first(tmp_path: Path) -> None:
    async with recording_rig(tmp_path) as rig:
        camera = rig.camera = BrighteningCamera(rig)
        await rig.film(4.5)
        at_the_press = camera.level
        rig.press()
        await rig.film(3)
        clip = await rig.next_clip()
        while (picture := rig.playback.picture(clip)) is None:
            await rig.film(0.1)
    image = Image.open(io.BytesIO(picture)).convert("L")
    full_range = (at_the_press - 16) * 255 / 219
    assert abs(np.asarray(image).mean() - full_range) < 8
    assert image.size == (WIDTH, HEIGHT)  # no larger than it was filmed


async def test_it_goes_with_its_clip_and_is_not_readable_on_the_card(tmp_path: Path) -> None:
    async with recording_rig(tmp_path) as rig:
        await rig.film(4)
        rig.press()
        await rig.film(3)
        clip = await rig.next_clip()
        path = rig.library.picture_path_of(clip.clip_id)
        while not rig.thumbnails.is_there(clip):
            await rig.film(0.1)
        assert b"\xff\xd8\xff" not in path.read_bytes()
        rig.library.remove([clip.clip_id], "owner")
        assert not path.exists()


@pytest.mark.parametrize("kept_bytes", [0, 5, 200, -2000, -10])
async def test_a_torn_one_is_made_again(tmp_path: Path, kept_bytes: int) -> None:
    async with recording_rig(tmp_path) as rig:
        await rig.film(4)
        rig.press()
        await rig.film(3)
        clip = await rig.next_clip()
        path = rig.library.picture_path_of(clip.clip_id)
        while not rig.thumbnails.is_there(clip):
            await rig.film(0.1)
        path.write_bytes(path.read_bytes()[:kept_bytes])
        assert rig.playback.picture(clip) is None
        assert rig.thumbnails.make_missing() == 1
        assert rig.thumbnails.make_missing() == 0
        assert rig.playback.picture(clip) is not None


async def test_a_clip_that_was_cut_short_by_a_crash_gets_its_picture_at_the_next_start(
    tmp_path: Path,
) -> None:
    async with recording_rig(tmp_path) as rig:
        await rig.film(4)
        rig.press()
        await rig.film(3)
        clip = await rig.next_clip()
    clip.path.write_bytes(clip.path.read_bytes()[:-1])
    for path in [*tmp_path.glob("library.*"), *(tmp_path / "clips").glob("*.thumb")]:
        path.unlink()
    shelves = Shelves(tmp_path)
    (again,) = close_open_clips(shelves.library, shelves.vault, shelves.manifest_signer)
    assert shelves.thumbnails.make_missing() == 1
    assert shelves.playback.picture(again) is not None
    assert shelves.thumbnails.make_missing() == 0


def test_a_picture_full_of_detail_still_fits() -> None:
    dice = np.random.default_rng(3)
    array = dice.integers(0, 255, (720 * 3 // 2, 1280), np.uint8)
    encoder = Encoder(1280, 720, 10, 20_000_000)
    units = encoder.encode(Planes(array, 1280, 720), 0)
    jpeg = jpeg_of(clip_units(units))
    assert jpeg is not None
    assert len(jpeg) <= MAX_BYTES
    assert Image.open(io.BytesIO(jpeg)).format == "JPEG"


@pytest.mark.parametrize("data", [b"\x00\x00\x01\x65" + bytes(50), b"\x00\x00\x01\x09"])
def test_what_is_no_picture_gives_none(data: bytes) -> None:
    assert jpeg_of([ClipUnit(pts_90k=0, is_key=True, data=data)]) is None
