"""aics-tlog as a process (tests.bench.logs): `python -m tests.bench.peers.log_peer N REPEATS`.

Hears {"do": "append"}, says {"times_ns": […]}.
"""

import json
import random
import sys
import time
from collections.abc import Callable

from aics_tlog import MerkleTree, leaf_hash, verify_inclusion


def main() -> None:
    """Do what is asked until nothing more is."""
    size, repeats = map(int, sys.argv[1:])
    entries = [b"entry %d" % number for number in range(size)]
    indexes = random.Random(5).choices(range(size), k=repeats)
    tree = MerkleTree(entries)
    root = tree.root()
    proofs = [tree.inclusion_proof(index) for index in indexes]

    def append() -> None:
        built = MerkleTree()
        for entry in entries:
            built.append(entry)
        built.root()

    def verify(place: int) -> None:
        index = indexes[place]
        if not verify_inclusion(leaf_hash(entries[index]), index, size, proofs[place], root):
            raise ValueError("the peer refuses its own proof")

    works: dict[str, list[Callable[[], object]]] = {
        "append": [append],
        "prove": [lambda index=index: tree.inclusion_proof(index) for index in indexes],
        "verify": [lambda place=place: verify(place) for place in range(repeats)],
        "replay": [lambda: MerkleTree(entries).root()],
    }
    for line in sys.stdin:
        works_asked = works[json.loads(line)["do"]]
        print(json.dumps({"times_ns": [timed_ns(work) for work in works_asked]}), flush=True)


def timed_ns(work: Callable[[], object]) -> int:
    """Return how long it takes."""
    begin_ns = time.perf_counter_ns()
    work()
    return time.perf_counter_ns() - begin_ns


if __name__ == "__main__":
    main()
