"""The camera for machines without one: real time, as a Pi would encode, with what tests need."""

import io
import itertools
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import pytest
import zxingcpp
from PIL import Image

from firmware.capture.camera_output import AccessUnit, LumaFrame, pts_90k_of
from firmware.capture.qr_reader import read_texts
from firmware.capture.replay.scene import PorchScene, SceneError, has_marker
from firmware.capture.replay.source import ReplaySource
from firmware.capture.video_source import Mask
from firmware.protocol.nal_units import split_annex_b
from firmware.system.clock import SystemClock
from tests.fakes.sink import FunctionSink
from tests.fakes.waiting import PATIENCE_S

IDR, SEI, SPS, PPS = 5, 6, 7, 8


class Film:
    """Collects what a source gives."""

    def __init__(self) -> None:
        self.units: list[AccessUnit] = []
        self.lumas: list[LumaFrame] = []
        self.seconds = 0.0


def camera(*, file: Path | None = None, marker: str = "", width: int = 640) -> ReplaySource:
    return ReplaySource(
        clock=SystemClock(),
        width=width,
        height=width * 9 // 16 // 2 * 2,
        fps=20,
        bitrate_bps=500_000,
        file=file,
        marker=marker,
    )


@contextmanager
def filming(source: ReplaySource) -> Iterator[Film]:
    film = Film()
    source.start(FunctionSink(film.units.append, film.lumas.append))
    try:
        yield film
    finally:
        source.stop()


def wait_for(is_so: Callable[[], object]) -> None:
    ends_s = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < ends_s
        time.sleep(0.05)


@pytest.fixture(scope="module")
def film() -> Film:
    """2.5 s of the porch, more where the machine is too busy to film at its rate."""
    began_s = time.monotonic()
    with filming(camera(marker="canary")) as film:
        time.sleep(2.5)
        wait_for(lambda: len(film.units) >= 20 and len(film.lumas) >= 10 and keys_of(film) >= 2)
    film.seconds = time.monotonic() - began_s
    return film


def nal_types(unit: AccessUnit) -> list[int]:
    return [nal[0] & 31 for nal in split_annex_b(unit.data)]


def decoded(units: list[AccessUnit]) -> list[av.VideoFrame]:
    decoder = av.CodecContext.create("h264", "r")
    frames = []
    for unit in units:
        frames += decoder.decode(av.Packet(unit.data))
    return frames + list(decoder.decode(None))


def test_pictures_come_in_real_time_on_the_monotonic_clock(film: Film) -> None:
    assert 20 <= len(film.units) <= film.seconds * 20 + 2
    assert all(a.pts_90k < b.pts_90k for a, b in itertools.pairwise(film.units))
    age_90k = pts_90k_of(SystemClock().monotonic_ns()) - film.units[-1].pts_90k
    assert 0 <= age_90k < 30 * 90_000


def test_every_second_begins_with_a_key_frame_that_carries_sps_and_pps(film: Film) -> None:
    keys = [unit for unit in film.units if unit.is_key]
    assert film.units[0].is_key
    assert len(keys) >= 2
    for key in keys:
        assert [kind for kind in nal_types(key) if kind != SEI] == [SPS, PPS, IDR]
    for first, second in itertools.pairwise(keys):
        assert abs(second.pts_90k - first.pts_90k - 90_000) < 45_000


def test_the_stream_is_constrained_baseline_in_one_slice(film: Film) -> None:
    sps = next(nal for nal in split_annex_b(film.units[0].data) if nal[0] & 31 == SPS)
    assert sps[1] == 66  # profile_idc: Baseline
    assert sps[2] & 0x40  # constraint_set1_flag
    assert all(len(nal_types(unit)) == 1 for unit in film.units if not unit.is_key)


def test_a_key_frame_comes_on_request_but_not_more_than_twice_a_second() -> None:
    source = camera(width=160)
    with filming(source) as film:
        for _ in range(100):
            source.request_key_frame()
            time.sleep(0.016)
        ends_s = time.monotonic() + PATIENCE_S
        while len(gaps_of(film)) < 2 or min(gaps_of(film)) >= 80_000:
            assert time.monotonic() < ends_s
            source.request_key_frame()
            time.sleep(0.016)
    assert all(gap >= 45_000 for gap in gaps_of(film))


def gaps_of(film: Film) -> list[int]:
    keys = [unit.pts_90k for unit in list(film.units) if unit.is_key]
    return [b - a for a, b in itertools.pairwise(keys)]


def test_luma_frames_come_ten_times_a_second(film: Film) -> None:
    assert 10 <= len(film.lumas) <= film.seconds * 10 + 2
    frame = film.lumas[0]
    assert (frame.width, frame.height, len(frame.data)) == (640, 360, frame.stride * 360)


def test_the_clock_in_the_picture_changes_with_every_frame(film: Film) -> None:
    corner = [frame.to_ndarray()[328:358, :260] for frame in decoded(film.units)[:5]]
    for before, after in itertools.pairwise(corner):
        assert np.abs(before.astype(int) - after.astype(int)).max() > 60


def test_the_marker_survives_encoding_and_is_no_other(film: Film) -> None:
    frame = decoded(film.units)[-1]
    luma = frame.to_ndarray()[:360].tobytes()
    seen = LumaFrame(pts_90k=0, width=640, height=360, stride=640, data=luma)
    assert has_marker(seen, "canary")
    assert not has_marker(seen, "another")


def test_a_qr_code_that_is_held_before_the_camera_can_be_read() -> None:
    text = "DW1:" + "abcdefgh" * 60
    code = zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat.QRCode)
    png = io.BytesIO()
    Image.fromarray(np.pad(np.array(code.to_image(scale=3)), 12, constant_values=255)).save(
        png, "PNG"
    )
    source = camera(width=1280)
    with filming(source) as film:

        def is_read() -> bool:
            source.show(png.getvalue(), 2.0)  # again, if a busy machine filmed nothing meanwhile
            return any(read_texts(luma) == [text] for luma in list(film.lumas))

        wait_for(is_read)
        wait_for(lambda: read_texts(film.lumas[-1]) == [])


def test_what_is_no_picture_cannot_be_shown() -> None:
    with pytest.raises(ValueError, match="not a PNG or JPEG picture"):
        camera(width=160).show(b"no picture", 1)


def test_a_stopped_camera_gives_nothing_more_and_can_start_again() -> None:
    source = camera(width=160)
    with filming(source) as first:
        time.sleep(0.2)
    count = len(first.units)
    time.sleep(0.1)
    assert len(first.units) == count
    with filming(source) as second:
        wait_for(lambda: second.units)
    assert second.units[0].is_key


def test_fewer_frames_are_filmed_on_request_but_never_more_than_were_configured() -> None:
    source = camera(width=160)
    source.set_max_fps(60)
    assert source.fps == 20
    source.set_max_fps(5)
    began_s = time.monotonic()
    with filming(source) as film:
        wait_for(lambda: len(film.units) >= 8)
        # At 20 a second, they would come in less than half a second.
        assert time.monotonic() - began_s > 1
    assert source.fps == 5


def test_a_mask_that_was_set_before_the_start_is_in_the_first_frame() -> None:
    source = camera(width=160)
    source.set_mask(Mask(polygons=(((0, 0), (1, 0), (1, 1), (0, 1)),)))
    with filming(source) as film:
        wait_for(lambda: len(film.units) >= 3 and film.lumas)
    assert {int(frame.to_ndarray().max()) for frame in decoded(film.units)} <= {127, 128, 129}
    assert set(film.lumas[0].data) == {16}


def test_a_restarted_encoder_goes_on_with_a_key_frame() -> None:
    source = camera(width=160)
    with filming(source) as film:
        wait_for(lambda: film.units)
        source.restart_encoder()
        wait_for(lambda: keys_of(film) >= 2)
    assert keys_of(film) == 2
    assert len(decoded(film.units)) == len(film.units)


def keys_of(film: Film) -> int:
    return len([unit for unit in film.units if unit.is_key])


def test_a_visitor_comes_and_goes() -> None:
    scene = PorchScene(320, 180)
    empty, at_the_door, gone = (scene.draw(at_s).y.astype(int) for at_s in (1, 11.5, 22))
    assert (np.abs(at_the_door - empty) > 20).mean() > 0.02
    assert (gone == empty).all()


def test_visitors_come_less_often_after_the_first_six_minutes() -> None:
    scene = PorchScene(320, 180)
    empty = scene.draw(1).y
    visits = [at_s for at_s in range(12, 1200, 12) if (scene.draw(at_s).y != empty).any()]
    assert visits == [*range(12, 360, 24), 360 + 12, 660 + 12, 960 + 12]


def test_a_visitor_comes_as_often_as_was_set() -> None:
    scene = PorchScene(320, 180, visit_each_s=180)
    empty = scene.draw(1).y
    visits = [at_s for at_s in range(12, 600, 12) if (scene.draw(at_s).y != empty).any()]
    assert visits == [12, 180 + 12, 360 + 12, 540 + 12]


def brightening_video(path: Path) -> None:
    """Write half a second in which every picture is lighter than the one before."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for number in range(5):
            picture = np.full((96, 96), 40 + 40 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "yuv420p")))
        container.mux(stream.encode(None))


def test_a_video_file_is_filmed_again_and_again(tmp_path: Path) -> None:
    video = tmp_path / "video.mp4"
    brightening_video(video)
    ends_s = time.monotonic() + PATIENCE_S
    with filming(camera(file=video, width=160)) as film:
        while rounds_of(film) < 2 and time.monotonic() < ends_s:
            time.sleep(0.2)
    assert rounds_of(film) >= 2


def rounds_of(film: Film) -> int:
    """How often it got darker: the video's end, and its beginning again."""
    levels = [int(frame.to_ndarray()[40, 80]) // 20 for frame in decoded(list(film.units))]
    return sum(after < before for before, after in itertools.pairwise(levels))


@pytest.mark.parametrize("content", [b"no video", b""])
def test_a_file_that_is_no_video_is_refused_at_once(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "video.mp4"
    path.write_bytes(content)
    with pytest.raises(SceneError, match=r"camera\.file: .*video\.mp4"):
        camera(file=path)


def test_without_numpy_all_else_works_and_the_cameras_name_what_is_missing() -> None:
    program = """
import sys
sys.modules["numpy"] = sys.modules["PIL"] = None
import firmware.capture.unit_hub, firmware.capture.x264
import firmware.clips.library, firmware.clips.recorder, firmware.clips.crash_recovery
from firmware.capture.camera_output import LumaFrame
from firmware.capture.qr_reader import read_texts
from firmware.capture.replay.source import ReplayMissing, ReplaySource
from firmware.capture.webcam import WebcamSource
from firmware.system.clock import SystemClock
from firmware.config.settings import CameraConfig
from firmware.errors import CameraError
print(read_texts(LumaFrame(pts_90k=0, width=64, height=64, stride=80, data=bytes(80 * 64))))
try:
    ReplaySource(clock=SystemClock())
except ReplayMissing as error:
    print(error)
try:
    WebcamSource(CameraConfig(kind="webcam"), clock=SystemClock())
except CameraError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "[]",
        "the replay camera needs NumPy and Pillow: pip install 'doorward[replay]'",
        "a webcam needs NumPy: pip install numpy",
    ]
