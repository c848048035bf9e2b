"""Reads poisoned MP4 files one after the other, in a process of its own that may take no memory.

    python -m tests.fakes.bounded tests.fuzz.media 80 SEED CPU_S

Each file of tests/vectors/mp4_bombs.json is read first, then clips and bombs with numbers of their
index changed at random, for so much processor time. What a reader says that is neither a clip nor
a WireError, or later than a second, ends it with 1.
"""

import json
import random
import struct
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from firmware.protocol.encoding import WireError, unb64u
from firmware.protocol.media.mp4 import Mp4
from relay.verify.display_checks import check_display
from relay.verify.file_reader import FileSource
from tests.fuzz.rubbish import rubbish

VECTORS = Path(__file__).parents[1] / "vectors"
LARGE = (0, 1, 2, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x01000000, 100_000, 65_535)
MOST_S = 1.0


def bombs() -> Iterator[tuple[str, bytes, str]]:
    """Yield each file's name, its bytes, and what is said of it."""
    clip = unb64u(json.loads((VECTORS / "sound.json").read_text("utf-8"))["plain_mp4"])
    for bomb in json.loads((VECTORS / "mp4_bombs.json").read_text("utf-8"))["bombs"]:
        data = b"".join(unb64u(one["bytes"]) * one["times"] for one in bomb["pieces"])
        yield (
            bomb["name"],
            clip[: bomb["first"]] + data + clip[-bomb["last"] or len(clip) :],
            bomb["error"],
        )


def read_all(path: Path) -> str:
    """Read all pictures and sound of a file; return why that can't be, or nothing."""
    try:
        mp4 = Mp4(FileSource(path, max_bytes=1 << 40))
        for _ in mp4.pictures():
            pass
        for _ in mp4.sound():
            pass
        check_display(mp4, width=1, height=1, rotation=0, created_1904_s=0)
    except WireError as error:
        return str(error)
    return ""


def main(words: Sequence[str]) -> int:
    """Read the corpus and what can be made of it; return the exit code."""
    seed, cpu_s = words
    dice = random.Random(int(seed))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip-1.mp4"
        for name, data, error in bombs():
            if (said := _timed(path, data)) != error and error:
                print(f"{name}: {said!r} instead of {error!r}")
                return 1
        seeds = [data for _, data, _ in bombs() if len(data) < 100_000]
        end_s = time.process_time() + float(cpu_s)
        count = 0
        while time.process_time() < end_s:
            _timed(path, _poisoned(seeds, dice))
            count += 1
    print(f"{count} files, seed {seed}")
    return 0


def _timed(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    begin_s = time.process_time()
    said = read_all(path)
    if time.process_time() - begin_s > MOST_S:
        raise AssertionError(f"{time.process_time() - begin_s:.1f} s for {data[:3000].hex()}")
    return said


def _poisoned(seeds: Sequence[bytes], dice: random.Random) -> bytes:
    """Return rubbish, or a clip of which some numbers of the index are others."""
    if dice.randrange(4) == 0:
        return rubbish(seeds, dice)
    data = bytearray(dice.choice(seeds[:2]))
    for _ in range(dice.randint(1, 3)):
        at = dice.randrange(0, min(len(data), 4000) - 4)
        number = dice.choice((dice.choice(LARGE), dice.randrange(1 << 32), dice.randrange(256)))
        struct.pack_into(">I", data, at, number)
    return bytes(data)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
