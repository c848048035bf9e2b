"""The software encoder of a Pi 5: at once, in slices where one thread would be late."""

import re
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from firmware.capture.board import PI_5, check_fits
from firmware.capture.camera_output import AccessUnit
from firmware.capture.pi.encoders import (
    MOST_BUSY,
    MOST_SLICES,
    PI_5_NS_PER_PIXEL,
    busy_cores,
    keyed,
    slices_of,
)
from firmware.config.settings import CameraConfig
from firmware.errors import CameraError
from firmware.live.packets_h264 import MAX_PAYLOAD_BYTES, pack_unit
from firmware.protocol.nal_units import split_annex_b
from tests.fakes.libav_encoder import FakeLibavEncoder

ROOT = Path(__file__).parents[2]
IDR, SLICE, STAP_A, FU_A = 5, 1, 24, 28


def frames(width: int, height: int) -> Iterator[av.VideoFrame]:
    dice = np.random.default_rng(3)
    array = dice.integers(30, 200, (height * 3 // 2, width), np.uint8)
    while True:
        array = np.roll(array, 8, axis=1)
        yield av.VideoFrame.from_ndarray(array, "yuv420p")


def started(width: int, height: int) -> FakeLibavEncoder:
    made = keyed(FakeLibavEncoder)(width=width, height=height, framerate=30, bitrate=2_000_000)
    made._start()
    assert isinstance(made, FakeLibavEncoder)
    return made


def slices(unit: bytes) -> list[int]:
    return [nal[0] & 31 for nal in split_annex_b(unit) if nal[0] & 31 in (IDR, SLICE)]


@pytest.mark.parametrize(
    ("width", "height", "fps", "count"),
    [(640, 480, 30, 1), (1280, 720, 30, 1), (1280, 720, 60, 3), (1920, 1080, 30, 3)],
)
def test_what_one_thread_does_in_time_stays_in_one_slice(width, height, fps, count):
    assert slices_of(width, height, fps) == count


@pytest.mark.parametrize(("width", "height", "count"), [(1280, 720, 1), (1920, 1080, 3)])
def test_each_picture_comes_at_once_in_its_slices_and_keys_are_made_when_asked_for(
    width, height, count
):
    encoder, shown = started(width, height), frames(width, height)
    units = []
    for number in range(5):
        if number == 3:
            encoder.force_key_frame()
        (unit,) = encoder.encode(next(shown), number * 33_333)
        units.append(unit)
    assert [slices(unit) for unit in units] == [
        [kind] * count for kind in (IDR, SLICE, SLICE, IDR, SLICE)
    ]
    encoder.stop()


def test_several_slices_of_a_picture_are_packed_and_shown_whole():
    encoder, shown = started(1920, 1080), frames(1920, 1080)
    decoder = av.CodecContext.create("h264", "r")
    pictures = []
    for number in range(3):
        (data,) = encoder.encode(next(shown), number * 33_333)
        packed = pack_unit(AccessUnit(pts_90k=number * 3000, is_key=number == 0, data=data))
        assert max(map(len, packed.payloads)) <= MAX_PAYLOAD_BYTES
        begins = [p for p in packed.payloads if p[0] & 31 == FU_A and p[1] & 0x80]
        assert sum(p[1] & 31 in (IDR, SLICE) for p in begins) == MOST_SLICES
        pictures += decoder.decode(av.Packet(unpacked(packed.payloads)))
    encoder.stop()
    assert len(pictures) >= 2
    assert all((p.width, p.height) == (1920, 1080) for p in pictures)


def unpacked(payloads: tuple[bytes, ...]) -> bytes:
    """Return an access unit in Annex B as a receiver puts it together (RFC 6184)."""
    nals: list[bytes] = []
    for payload in payloads:
        kind = payload[0] & 31
        if kind == STAP_A:
            at = 1
            while at < len(payload):
                size = int.from_bytes(payload[at : at + 2], "big")
                nals.append(payload[at + 2 : at + 2 + size])
                at += 2 + size
        elif kind == FU_A:
            if payload[1] & 0x80:
                nals.append(bytes([payload[0] & 0xE0 | payload[1] & 31]))
            nals[-1] += payload[2:]
        else:
            nals.append(payload)
    return b"".join(b"\x00\x00\x00\x01" + nal for nal in nals)


def test_a_pi_5_films_1080p30_and_no_more():
    check_fits(PI_5, CameraConfig(width=1920, height=1080, fps=30, bitrate_bps=4_000_000))
    with pytest.raises(CameraError, match="at most 30"):
        check_fits(PI_5, CameraConfig(width=1920, height=1080, fps=60, bitrate_bps=4_000_000))


def computed_in_the_document() -> list[tuple[int, int, float, int]]:
    """Return width, height, computed ms a picture on one core, and slices, as docs/picture.md."""
    text = (ROOT / "docs/picture.md").read_text("utf-8").partition("## A Pi 5 at 1080p30")[2]
    row = re.compile(r"\| (\d+)×(\d+) \|.*\| ([\d.]+) ms \| [\d.]+ ms \| (\d) \|")
    return [
        (int(width), int(height), float(ms), int(slices))
        for width, height, ms, slices in row.findall(text)
    ]


def test_what_the_firmware_chooses_on_a_pi_5_is_what_the_document_computed():
    rows = computed_in_the_document()
    assert {(width, height) for width, height, *_ in rows} == {(1280, 720), (1920, 1080)}
    for width, height, ms, slices in rows:
        assert ms <= width * height * PI_5_NS_PER_PIXEL / 1e6 * 1.01
        assert slices_of(width, height, 30) == slices
        assert busy_cores(width, height, 30) / slices <= MOST_BUSY
    assert max(ms * 1e6 / (width * height) for width, height, ms, _ in rows) == pytest.approx(
        PI_5_NS_PER_PIXEL, rel=0.02
    )
