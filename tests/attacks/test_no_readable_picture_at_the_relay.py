"""After the whole story, no picture or video of the door lies readable anywhere but at the agency.

The camera films a video with a marked frame. Searched are the relay's database and files, the
broker's store, the bucket and all logs, for pieces of the coded video (raw, hexadecimal, base64
in each alignment) and for the marks of picture and video files; so is the doorbell's own card.
The same search finds them in what the agency opened, so it can find.
"""

import base64
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from firmware.clips.playback import ClipReader
from firmware.vault.sealed_file import Vault
from firmware.vault.storage_key import FileStorageKey
from tests.faults.town import running_town

pytestmark = [pytest.mark.services, pytest.mark.slow]

PIECE_BYTES = 24
FILE_MARKS = (
    b"ftypisom",
    b"ftypiso5",
    b"ftypmp4",
    b"moovmvhd",
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff\xe0\x00\x10JFIF",
)


def marked_video(path: Path) -> None:
    """Write two seconds of noise, the same every time: each frame is a canary."""
    rng = np.random.default_rng(20261125)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=15)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        canary = rng.integers(0, 255, (45, 80, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
        for number in range(30):
            frame = av.VideoFrame.from_ndarray(np.roll(canary, number * 8, 1), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def pieces_of(doorbell_dir: Path) -> list[bytes]:
    """Return pieces from the middle of every clip's coded pictures, in all spellings."""
    vault = Vault(FileStorageKey(doorbell_dir / "storage.key"))
    spelled: list[bytes] = []
    for path in (doorbell_dir / "clips").glob("*.clip"):
        for unit in ClipReader(vault.open(path)).units():
            for nal_unit in unit.nal_units:
                if len(nal_unit) > 20 * PIECE_BYTES:
                    middle = len(nal_unit) // 2
                    spelled += spellings(nal_unit[middle : middle + PIECE_BYTES])
    return spelled


def spellings(piece: bytes) -> Iterator[bytes]:
    yield piece
    yield piece.hex().encode()
    for shift in range(3):
        text = base64.b64encode(piece[shift : shift + 18])
        yield text
        yield text.translate(bytes.maketrans(b"+/", b"-_"))


def found_in(folder: Path, needles: list[bytes]) -> list[str]:
    """Return every file below `folder` that holds a needle."""
    found = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        data = path.read_bytes()
        hits = [needle for needle in needles if needle in data]
        if hits:
            found.append(f"{path.relative_to(folder)}: {hits[0][:40]!r}")
    return found


async def test_nothing_readable_lies_outside_the_doorbell(tmp_path: Path) -> None:
    video = tmp_path / "canary.mp4"
    marked_video(video)
    data_dir = tmp_path / "town"
    data_dir.mkdir()
    async with running_town(data_dir, video=video) as town:
        settings = town.settings
        await town.play.tell()
    pieces = pieces_of(settings.doorbell_dir)
    assert len(pieces) > 100
    assert found_in(data_dir / "agency", pieces), "the search finds nothing where there is much"
    assert (settings.relay_dir / "relay.sqlite3").stat().st_size > 0
    assert sum(p.stat().st_size for p in (data_dir / "store").rglob("*.dat")) > 100_000
    for place in (settings.doorbell_dir.name, "relay", "store", "logs", "people"):
        assert found_in(data_dir / place, [*pieces, *FILE_MARKS]) == [], place
