"""A register of any length on disk: real requests, signed and cosigned, at a steady rate.

register = LongRegister(folder, per_year=100_000)
register.grow(10_000)           entries, tiles, stamps and the checkpoint of that size
register.transport()            serves the files, ranges too, and counts what it gave
"""

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import httpx2
import pytest

from firmware.protocol.register.entries import OfficerLeaf, RefusedLeaf, RequestLeaf
from firmware.protocol.tlog import kept_tree
from firmware.protocol.tlog.checkpoint import Checkpoint, sign_checkpoint, sign_cosignature
from firmware.protocol.tlog.merkle import Tree, leaf_hash
from firmware.protocol.tlog.signed_note import parse_note
from firmware.protocol.tlog.tiles import (
    TILE_WIDTH,
    bundles_grown,
    encode_bundle,
    encoded_bytes,
    tiles_grown,
)
from firmware.transparency import reader, snapshots
from tests.fakes.log_town import DAY_MS, NOW_MS, Town, answer_with, make_town

SMALL_ROOM = 12_000
"""Bytes of the card."""
YEAR_MS = 365 * DAY_MS
TEXT = (
    "Between these times a garage door was forced and two bicycles were taken. We ask for "
    "recordings of the street that show anybody who carries or loads bicycles, or a grey van "
    "without a plate at its rear. Please look at the times before and after the window too, if "
    "your doorbell has any. You need not answer, and nobody is told whether you looked at this."
)
OFFICERS = 100
CELLS = tuple(f"891f{number:05x}7ffffff"[:15] for number in range(16, 416))
REFUSED_EVERY = 20
"""So many entries with one that moderators refused."""


def make_room_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a follower read in short parts, and keep little: a thousand entries are long then."""
    monkeypatch.setattr(reader, "PART_ENTRIES", 100)
    monkeypatch.setattr(kept_tree, "WINDOW", 300)
    monkeypatch.setattr(snapshots, "MAX_TAIL_BYTES", SMALL_ROOM)


def long_town(size: int = 900) -> Town:
    """Return a town with so many entries more, an early request, and a last one."""
    town = make_town()
    junk = [b'{"number":%d}' % number for number in range(size)]
    town.register_log.append(*junk[:100], at_ms=town.now_ms)
    town.publish(case_number="LK-1")
    for start in range(100, size, 100):
        town.register_log.append(*junk[start : start + 100], at_ms=town.now_ms)
    town.wind(days=2)
    town.publish(case_number="LK-2")
    return town


class LongRegister:
    """One agency's requests, one after another, until `end_ms`."""

    def __init__(
        self,
        folder: Path,
        *,
        size: int,
        per_year: int = 100_000,
        per_stamp: int = 10,
        end_ms: int = NOW_MS,
    ) -> None:
        self.folder = folder
        self.asked: Counter[str] = Counter()
        """Requests, and bytes of bodies, by kind of file."""
        self.entries_bytes = 0
        """What all entries take in whole bundles."""
        self._per_stamp = per_stamp
        self._every_ms = YEAR_MS // per_year
        begin_ms = end_ms - size * self._every_ms
        self.town = make_town(now_ms=begin_ms, cells=CELLS, age_days=10)
        self._officers = [
            self.town.certify(f"Officer {number}", role="approver", days=20_000)
            for number in range(OFFICERS)
        ]
        for officer in self._officers:
            self.town.append(OfficerLeaf(signed=officer.certificate))
        self._log = self.town.register_log
        self.policy = self.town.policy
        self._tree = Tree()
        self._last: list[bytes] = []
        self._last_stamps: list[bytes] = []
        self._stamps = 0
        for entry, stamp in zip(self._log.entries, self._log.stamps, strict=True):
            self._add(entry)
            self._stamp(stamp)
        self._publish(0)
        self._made = self._entries()

    @property
    def size(self) -> int:
        return self._tree.size

    def grow(self, size: int) -> None:
        """Publish entries up to this size, and a checkpoint of now."""
        before = self.size
        for entry in islice(self._made, size - before):
            self._add(entry)
            if self.size % self._per_stamp == 0 or self.size == size:
                self._stamp(self._note())
        self._publish(before)

    def transport(self, prefix: str = "/log/register/") -> httpx2.MockTransport:
        """Return a client's transport that gives the files, and ranges of them."""

        def answer(request: httpx2.Request) -> httpx2.Response:
            path = request.url.path.removeprefix(prefix)
            file = self.folder / path.replace("/", "_")
            if not file.exists():
                return httpx2.Response(404)
            data = file.read_bytes()
            given = answer_with(data, request)
            start = request.headers.get("range", "bytes=0-").removeprefix("bytes=")
            kind = path.partition("/")[0] + ("/entries" if "entries" in path else "")
            self.asked[kind] += 1
            self.asked[f"{kind} bytes"] += len(data) - int(start.removesuffix("-"))
            return given

        return httpx2.MockTransport(answer)

    def _entries(self) -> Iterator[bytes]:
        """Yield entries as the relay would add them, each of its time."""
        town, number = self.town, 0
        while True:
            town.now_ms += self._every_ms
            number += 1
            if number % REFUSED_EVERY == 0:
                refused = RefusedLeaf(agency=town.agreement.agency, category="assembly")
                yield town.next_entry(refused)
                continue
            officer = self._officers[number % OFFICERS]
            cosigner = self._officers[(number + 1) % OFFICERS]
            request = town.request(
                officer_id=officer.id,
                officer_name=officer.name,
                cosigner_id=cosigner.id,
                cosigner_name=cosigner.name,
                case_number=f"LK-{number // 2}",
                cells=[CELLS[number % len(CELLS)]],
                text=TEXT,
            )
            yield town.next_entry(
                RequestLeaf(signed=town.sign(request, officer=officer, cosigner=cosigner))
            )

    def _add(self, entry: bytes) -> None:
        self._tree.append(leaf_hash(entry))
        self.entries_bytes += encoded_bytes(entry)
        if len(self._last) == TILE_WIDTH:
            self._last = []
        self._last.append(entry)
        if len(self._last) == TILE_WIDTH:
            self._write_last()

    def _stamp(self, note: bytes) -> None:
        if len(self._last_stamps) == TILE_WIDTH:
            self._last_stamps = []
        self._last_stamps.append(note)
        self._stamps += 1
        if len(self._last_stamps) == TILE_WIDTH:
            self._write_last_stamps()

    def _note(self) -> bytes:
        log, at_s = self._log, self.town.now_ms // 1000
        checkpoint = Checkpoint(origin=log.origin, size=self.size, root=self._tree.root())
        note = parse_note(sign_checkpoint(checkpoint, log.signer))
        signed = [sign_cosignature(note.text, one, at_s) for one in log.witnesses.values()]
        return note.with_signatures(*signed).encode()

    def _publish(self, before: int) -> None:
        for tile in tiles_grown(before, self.size):
            self._write(tile.path, tile.hashes_in(self._tree))
        self._write_last()
        self._write_last_stamps()
        self._write("stamps/count", b"%d\n" % self._stamps)
        self._write("checkpoint", self._last_stamps[-1])  # last: who reads it finds the rest

    def _write_last(self) -> None:
        (*_, bundle) = bundles_grown(self.size - 1, self.size)
        self._write(bundle.path, encode_bundle(self._last))

    def _write_last_stamps(self) -> None:
        (*_, bundle) = bundles_grown(self._stamps - 1, self._stamps)
        path = bundle.path.replace("tile/entries/", "stamps/")
        self._write(path, encode_bundle(self._last_stamps))

    def _write(self, path: str, data: bytes) -> None:
        file = self.folder / path.replace("/", "_")
        beside = file.with_name(f"{file.name}.new")
        beside.write_bytes(data)
        beside.rename(file)
