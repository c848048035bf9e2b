"""`make soak`: a doorbell follows a register of a million entries from the first on.

It takes a quarter of an hour of processor time. `make bench` has 100,000 entries (L7).
"""

import subprocess
import sys

import msgspec

ENTRIES, STEP = 1_000_000, 50_000
MOST_MB = 400.0
"""Of memory; a Pi Zero 2 has 512."""
MOST_CARD_MB = 150.0


def test_a_doorbell_follows_a_million_entries() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.bench.long_register", str(ENTRIES), str(STEP)],
        check=True,
        stdout=subprocess.PIPE,
    )
    print(ran.stdout.decode())
    last = msgspec.json.decode(ran.stdout.splitlines()[-1])
    assert last["entries"] == ENTRIES
    assert last["peak_mb"] < MOST_MB
    assert last["card_mb"] < MOST_CARD_MB
