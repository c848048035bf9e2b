"""What a doorbell can be held to after a fault (its journal), and what its card still has.

Read with `recording_process`, which writes the journal. `Remains` opens a folder as the next start
of a doorbell does: it repairs first, and then everything is looked at.
"""

import io
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import av

from firmware.clips.check import LibraryCheck
from firmware.clips.crash_recovery import close_open_clips
from firmware.clips.record import ClipRecord
from firmware.enrolment.keys import load_or_make_keys
from firmware.outbox.queue import Outbox
from firmware.protocol.deletions import check_deletion
from firmware.protocol.events import Event
from firmware.protocol.footage import check_manifest
from tests.fakes.recorder import Shelves
from tests.faults.named_units import name_of

S = 1_000_000_000
"""Nanoseconds in a second."""
EVERYTHING = 10**6
PULSE_S = 0.05
"""How often a life says that it goes on."""
USUAL_GAP_NS = round(1.5 * PULSE_S * S)


@dataclass(frozen=True, slots=True)
class Handed:
    """Something that the doorbell took: a unit by its name, a press by its event's id."""

    at_ns: int
    name: str


@dataclass(slots=True)
class Life:
    """One process over the folder, from its start to its end."""

    began_ns: int
    ready_ns: int | None = None
    done_ns: int | None = None
    units: list[Handed] = field(default_factory=list)
    rings: list[Handed] = field(default_factory=list)
    presses: list[Handed] = field(default_factory=list)
    card: list[Handed] = field(default_factory=list)
    pulses_ns: list[int] = field(default_factory=list)

    def held_up_ns(self, from_ns: int, to_ns: int) -> int:
        """Return for how long a busy machine kept the process from going on."""
        between = [at_ns for at_ns in self.pulses_ns if from_ns < at_ns < to_ns]
        gaps_ns = [later - sooner for sooner, later in pairwise([from_ns, *between, to_ns])]
        return sum(max(0, gap_ns - USUAL_GAP_NS) for gap_ns in gaps_ns)

    def went_on_ns(self, from_ns: int, to_ns: int) -> int:
        """Return for how long the process went on between these moments; negative if reversed."""
        return to_ns - from_ns - self.held_up_ns(from_ns, to_ns)


def read_journal(path: Path) -> list[Life]:
    """Return the lives of a doorbell, in order; a line torn by the process's end is left out."""
    lives: list[Life] = []
    for line in path.read_text().splitlines(keepends=True) if path.exists() else []:
        if not line.endswith("\n"):
            break
        word, at, *rest = line.split()
        at_ns = int(at)
        match word:
            case "began":
                lives.append(Life(at_ns))
            case "ready":
                lives[-1].ready_ns = at_ns
            case "done":
                lives[-1].done_ns = at_ns
            case "unit":
                lives[-1].units.append(Handed(at_ns, rest[0]))
            case "rang":
                lives[-1].rings.append(Handed(at_ns, rest[0]))
            case "press":
                lives[-1].presses.append(Handed(at_ns, rest[0]))
            case "pulse" if lives:
                lives[-1].pulses_ns.append(at_ns)
            case "card":
                lives[-1].card.append(Handed(at_ns, rest[0]))
    return lives


class Remains:
    """A folder that was recovered as the next start of its doorbell does it."""

    def __init__(self, folder: Path) -> None:
        keys = load_or_make_keys(folder)
        self._spki = keys.signer.spki
        self.shelves = Shelves(folder, signer=keys.signer, device=keys.device)
        self.outbox = Outbox(folder / "outbox.sqlite3", keys.device)
        self._outbox_file = folder / "outbox.sqlite3"
        close_open_clips(self.shelves.library, self.shelves.vault, self.shelves.manifest_signer)
        self.shelves.thumbnails.make_missing()
        self.clips = self.shelves.library.in_order()
        deletions = self.shelves.library.deletions()
        removals = [check_deletion(signed, self._spki) for signed in deletions]
        self.deleted = [removal.clip_id for removal in removals if removal.why == "space"]
        self.names = {name for clip in self.clips for name in self.names_of(clip)}

    def names_of(self, clip: ClipRecord) -> list[str]:
        """Return the names of a clip's access units, in order."""
        return [name_of(unit.data) for unit in self.shelves.playback.units(clip)]

    def missing(self, handed: Iterable[Handed]) -> list[Handed]:
        """Return those access units that no clip has."""
        return [unit for unit in handed if unit.name not in self.names]

    def events(self) -> list[Event]:
        """Return all that lies in the outbox."""
        return self.outbox.pending(EVERYTHING)

    def without_clip(self, rings: Iterable[Handed]) -> list[Handed]:
        """Return the presses that no clip's manifest names."""
        marked = {
            trigger.event_id
            for clip in self.clips
            for trigger in check_manifest(clip.signed_manifest, self._spki).triggers
        }
        return [ring for ring in rings if ring.name not in marked]

    def unaccepted(self, presses: Iterable[Handed]) -> list[Handed]:
        """Return the presses that were accepted and aren't in the outbox."""
        ids = {event.id for event in self.events()}
        return [press for press in presses if press.name not in ids]

    def assert_all_in_order(self) -> None:
        """Both databases are sound, `clips check` finds nothing, every clip plays to its end."""
        check = LibraryCheck(
            self.shelves.library, self.shelves.vault, identity_spki=self._spki, is_recording=False
        )
        faults = [str(fault) for fault in check.faults()]
        assert not faults, faults
        open_ids = [start.clip_id for start in self.shelves.library.open_starts()]
        assert not open_ids, f"still open: {open_ids}"
        with closing(sqlite3.connect(self._outbox_file)) as db:
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        seqs = [event.seq for event in self.events()]
        assert seqs == list(range(1, len(seqs) + 1))
        for clip in self.clips:
            check_manifest(clip.signed_manifest, self._spki)
            names = self.names_of(clip)
            pictures = pictures_of(self.shelves.playback.plain_mp4(clip))
            assert pictures == len(names), f"{clip} doesn't play"
            assert_is_one_piece(names)

    def close(self) -> None:
        self.outbox.close()
        self.shelves.database.close()


@contextmanager
def remains_of(folder: Path) -> Iterator[Remains]:
    """Recover a folder and look at it."""
    remains = Remains(folder)
    try:
        yield remains
    finally:
        remains.close()


def pictures_of(mp4: bytes) -> int:
    """Decode a whole film; return how many pictures it has."""
    with av.open(io.BytesIO(mp4)) as container:
        return sum(1 for _ in container.decode(video=0))


def assert_is_one_piece(names: list[str]) -> None:
    """The pictures follow one another as they were filmed; none is missing, none comes twice."""
    lives = {name.rpartition("-")[0] for name in names}
    numbers = [int(name.rpartition("-")[2]) for name in names]
    assert len(lives) == 1
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
