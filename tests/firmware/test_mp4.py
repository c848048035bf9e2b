"""One clip as fragmented MP4, as plain MP4 and as Annex B is the same footage."""

import io
from pathlib import Path

import av
import pytest

from firmware.clips.fragment import ClipUnit
from firmware.clips.mp4 import UnreadableClip, annex_b, fragmented_mp4, plain_mp4, read_units
from firmware.protocol.footage import Gop, GopHasher, split_annex_b
from tests.fakes.footage import HEIGHT, WIDTH, TinyCamera, clip_units


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


def test_what_is_no_clip_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"not a clip")
    with pytest.raises(UnreadableClip, match=r"clip\.mp4"):
        list(read_units(path))
