"""One clip as fragmented MP4, as plain MP4 and as Annex B is the same footage."""

import io
from pathlib import Path

import av
import pytest

from firmware.capture.packets import AccessUnit
from firmware.clips.mp4 import (
    FragmentWriter,
    UnreadableClip,
    keep_whole_fragments,
    read_units,
    remux_plain,
)
from firmware.protocol.footage import Gop, GopHasher, split_annex_b
from tests.fakes.footage import HEIGHT, WIDTH, TinyCamera


@pytest.fixture(scope="module")
def units() -> list[AccessUnit]:
    return TinyCamera().film(4)


def written(path: Path, units: list[AccessUnit]) -> Path:
    writer = FragmentWriter(path, width=WIDTH, height=HEIGHT)
    for unit in units:
        writer.write(unit)
    writer.close()
    return path


def gops_of_annex_b(units: list[AccessUnit]) -> list[Gop]:
    hasher = GopHasher()
    for unit in units:
        relative = unit.pts_90k - units[0].pts_90k
        hasher.add(relative, unit.is_key, split_annex_b(unit.data))
    return hasher.finish()


def gops_of_mp4(path: Path) -> list[Gop]:
    hasher = GopHasher()
    for unit in read_units(path):
        hasher.add(unit.pts_90k, unit.is_key, unit.nal_units)
    return hasher.finish()


def boxes(data: bytes) -> list[tuple[str, int]]:
    found = []
    position = 0
    while position < len(data):
        size = int.from_bytes(data[position : position + 4], "big")
        found.append((data[position + 4 : position + 8].decode(), position + size))
        position += size
    return found


def test_three_forms_of_one_clip_give_the_same_gop_leaves(
    tmp_path: Path, units: list[AccessUnit]
) -> None:
    fragmented = written(tmp_path / "clip.mp4", units)
    plain = tmp_path / "plain.mp4"
    plain.write_bytes(remux_plain(fragmented))
    leaves = gops_of_annex_b(units)
    assert len(leaves) == 4
    assert gops_of_mp4(fragmented) == leaves
    assert gops_of_mp4(plain) == leaves


def test_the_plain_form_has_its_index_in_front_and_decodes(
    tmp_path: Path, units: list[AccessUnit]
) -> None:
    plain = remux_plain(written(tmp_path / "clip.mp4", units))
    names = [name for name, _ in boxes(plain)]
    assert names.index("moov") < names.index("mdat")
    assert "moof" not in names
    with av.open(io.BytesIO(plain)) as container:
        assert sum(1 for _ in container.decode(video=0)) == len(units)


def test_the_index_of_the_longest_clip_still_fits_before_the_data(tmp_path: Path) -> None:
    """The room for the index is estimated; frames of uneven length need the most of it."""
    plain = remux_plain(written(tmp_path / "clip.mp4", TinyCamera().film(120)))
    with av.open(io.BytesIO(plain)) as container:
        assert sum(1 for packet in container.demux(video=0) if packet.size) == 1200


def test_fragments_are_at_most_half_a_second_long(tmp_path: Path, units: list[AccessUnit]) -> None:
    names = [name for name, _ in boxes(written(tmp_path / "clip.mp4", units).read_bytes())]
    assert names[:2] == ["ftyp", "moov"]
    assert names.count("moof") >= 8


def test_a_fragment_is_in_the_file_before_the_next_begins(
    tmp_path: Path, units: list[AccessUnit]
) -> None:
    path = tmp_path / "clip.mp4"
    writer = FragmentWriter(path, width=WIDTH, height=HEIGHT)
    for index, unit in enumerate(units):
        writer.write(unit)
        if index >= 6:
            last_pts_90k = [u.pts_90k for u in read_units(path)][-1]
            lag_90k = unit.pts_90k - units[0].pts_90k - last_pts_90k
            assert lag_90k <= 0.6 * 90_000
    writer.close()


def test_a_torn_file_keeps_its_whole_fragments(tmp_path: Path, units: list[AccessUnit]) -> None:
    data = written(tmp_path / "clip.mp4", units).read_bytes()
    ends = [0] + [end for name, end in boxes(data) if name in ("ftyp", "moov", "mdat")]
    torn = tmp_path / "torn.mp4"
    for cut in range(1, len(data), 97):
        torn.write_bytes(data[:cut])
        assert keep_whole_fragments(torn) == max(end for end in ends if end <= cut)
    leaves = gops_of_annex_b(units)
    torn.write_bytes(data[: ends[-2] + 40])
    keep_whole_fragments(torn)
    assert gops_of_mp4(torn)[:-1] == leaves[:-1]


def test_what_is_no_clip_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"not a clip")
    with pytest.raises(UnreadableClip, match=r"clip\.mp4"):
        list(read_units(path))


def test_an_existing_clip_is_never_written_over(tmp_path: Path, units: list[AccessUnit]) -> None:
    path = written(tmp_path / "clip.mp4", units)
    with pytest.raises(FileExistsError):
        FragmentWriter(path, width=WIDTH, height=HEIGHT)


def test_a_clip_is_readable_by_nobody_else(tmp_path: Path, units: list[AccessUnit]) -> None:
    assert written(tmp_path / "clip.mp4", units).stat().st_mode & 0o777 == 0o600
