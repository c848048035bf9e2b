"""After the whole story, no picture or video of the door lies readable anywhere but at the agency.

The camera films a video with a marked frame. Searched are the relay's database and files, the
broker's store, the bucket and all logs, for pieces of the coded video (raw, hexadecimal, base64
in each alignment) and for the marks of picture and video files; so is the doorbell's own card.
The same search finds them in what the agency opened, so it can find.
"""

import random

import pytest

from tests.attacks.aftermath import FILE_MARKS, Loot, Search, found_in, pieces_of

pytestmark = [pytest.mark.services, pytest.mark.slow]


def test_nothing_readable_lies_outside_the_doorbell(loot: Loot) -> None:
    data_dir = loot.folder
    pieces = pieces_of(data_dir / "doorbell")
    assert len(pieces) > 100
    assert found_in(data_dir / "agency", pieces), "the search finds nothing where there is much"
    assert (data_dir / "relay" / "relay.sqlite3").stat().st_size > 0
    assert sum(p.stat().st_size for p in (data_dir / "store").rglob("*.dat")) > 100_000
    for place in ("doorbell", "relay", "store", "logs", "people"):
        assert found_in(data_dir / place, [*pieces, *FILE_MARKS]) == [], place


def test_the_search_for_many_finds_what_a_search_for_each_finds() -> None:
    """Needles of any length, wherever they begin and end."""
    dice = random.Random(24)
    for _ in range(300):
        data = dice.randbytes(dice.randrange(60))
        needles = [dice.randbytes(dice.randrange(1, 30)) for _ in range(dice.randrange(4))]
        if data and dice.random() < 0.7:
            begin = dice.randrange(len(data))
            needles.append(data[begin : begin + dice.randrange(1, 30)])
        hit = Search(needles).first_in(data)
        assert (hit is not None) == any(needle in data for needle in needles)
        assert hit is None or hit in data
