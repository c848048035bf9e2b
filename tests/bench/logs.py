"""L5: a transparency log of 100,000 entries: append, prove, verify, replay, against aics-tlog."""

import random
from collections.abc import Callable, Iterable
from contextlib import closing
from functools import partial
from typing import Any

from firmware.protocol.tlog.merkle import Frontier, Tree, leaf_hash, verify_inclusion
from tests.bench.children import Child
from tests.bench.measuring import Goal, Result, Run, Size, in_turns, timed
from tests.fakes.witness_peer import PEERS_PYTHON, reason_against

PEER = "aics-tlog"
GOAL = Goal(ratio=1.0)
NOTE = (
    "Each runs on its own Python, the peer's a newer one. Both hash nodes when they are first "
    "asked for, so append ends with the root. A check here also holds each hash to 32 bytes."
)
WHATS = {
    "append": ("ms", "append {} entries to a log, and its root"),
    "prove": ("µs", "prove that an entry is in a log of {}"),
    "verify": ("µs", "check such a proof, from the entry on"),
    "replay": ("ms", "follow {} entries from the first to the root, as a monitor does"),
}


class OwnLog:
    """Does each piece of work with `firmware.protocol.tlog.merkle`."""

    def __init__(self, size: Size) -> None:
        self._entries = [b"entry %d" % number for number in range(size.log_entries)]
        self._indexes = random.Random(5).choices(range(size.log_entries), k=size.repeats)
        self._tree = Tree(map(leaf_hash, self._entries))
        self._root = self._tree.root()
        self._proofs = [self._tree.inclusion_proof(index) for index in self._indexes]

    def append(self) -> Run:
        """Build the log anew."""
        return timed(self._append)

    def prove(self) -> Run:
        """Prove some entries, each timed alone."""
        return _each([partial(self._tree.inclusion_proof, index) for index in self._indexes])

    def verify(self) -> Run:
        """Check the proofs of the same entries."""
        shown = zip(self._indexes, self._proofs, strict=True)
        return _each([partial(self._verify, index, proof) for index, proof in shown])

    def replay(self) -> Run:
        """Follow the log with nothing but its right edge."""
        return timed(self._replay)

    def _append(self) -> bytes:
        tree = Tree()
        for entry in self._entries:
            tree.append(leaf_hash(entry))
        return tree.root()

    def _verify(self, index: int, proof: list[bytes]) -> None:
        verify_inclusion(
            index=index,
            size=len(self._entries),
            leaf_hash=leaf_hash(self._entries[index]),
            proof=proof,
            root=self._root,
        )

    def _replay(self) -> bytes:
        frontier = Frontier()
        frontier.extend(map(leaf_hash, self._entries))
        return frontier.root()


def measure(size: Size) -> list[Result]:
    """Do each piece of work, in turns with the peer where it is there."""
    own = OwnLog(size)
    if reason_against():
        return [_result(name, size, getattr(own, name), None) for name in WHATS]
    module = "tests.bench.peers.log_peer"
    with closing(_Peer(Child(module, size.log_entries, size.repeats, python=PEERS_PYTHON))) as peer:
        return [
            _result(name, size, getattr(own, name), lambda name=name: peer.run(name))
            for name in WHATS
        ]


class _Peer:
    """aics-tlog in its own environment."""

    def __init__(self, child: Child) -> None:
        self._child = child

    def run(self, name: str) -> Run:
        """Have it do one piece of work, timed by itself."""
        self._child.say(do=name)
        return Run(times_ns=self._child.hear("times_ns"))

    def close(self) -> None:
        """End it."""
        self._child.end()


def _each(works: Iterable[Callable[[], object]]) -> Run:
    """Time each piece of work alone, as the peer does."""
    return Run(times_ns=[timed(work).times_ns[0] for work in works])


def _result(
    name: str, size: Size, own: Callable[[], Run], peer: Callable[[], Run] | None
) -> Result:
    if peer is None:
        own_runs, peer_runs = [own() for _ in range(size.runs)], []
    else:
        own_runs, peer_runs = in_turns(size.runs, own, peer)
    unit, what = WHATS[name]
    about: dict[str, Any] = {"goal": GOAL, "note": NOTE} if name == "append" else {"goal": GOAL}
    return Result(
        id=f"L5 {name}",
        what=what.format(f"{size.log_entries:,}"),
        unit="µs" if unit == "µs" else "ms",
        peer=PEER,
        own_runs=own_runs,
        peer_runs=peer_runs,
        **about,
    )
