"""A card that is full, fails or becomes read-only, at each system call of recorder and library.

strace lets one call fail once, by its number in each thread; which calls there are is counted in
a clean run before. DOORWARD_CARD_ERRORS=N tries so many of them, 0 all. Whatever fails: the process
lives, every press is told and has its clip, at most five seconds are missing, finished clips play,
and the next start's check finds nothing that it can't repair. A card that says it is full costs the
oldest clip each time that it says so: that is the rule, and the deletion is signed.
"""

import asyncio
import errno
import os
import random
import shutil
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fakes.bad_card import BadCard
from tests.fakes.footage import FPS
from tests.fakes.recorder import TURN_S, RecordingRig, running
from tests.fakes.waiting import eventually
from tests.faults import strace
from tests.faults.doorbells import RecordingDoorbell, seeded_dice
from tests.faults.remains import Handed, Life, Remains, S, read_journal, remains_of

REASON = strace.reason_against()
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(REASON), reason=REASON)]

TRIES = int(os.environ.get("DOORWARD_CARD_ERRORS", "24"))
AT_ONCE = 24
ERRORS = {
    "openat": ("ENOSPC", "EIO", "EROFS"),
    "pwrite64": ("ENOSPC", "EIO", "EROFS"),
    "fdatasync": ("ENOSPC", "EIO", "EROFS"),
    "fsync": ("ENOSPC", "EIO"),
    "unlink": ("EIO", "EROFS"),
    "pread64": ("EIO",),
    "newfstatat": ("EIO",),
    "statfs": ("EIO",),
}
COUNTED_S = 4.0
RECOVERED_S = 5.0
SAFE_AFTER_S = 1.0
OUTAGE_S = 3.0
OPENS_TRIED = 3


@dataclass(frozen=True, slots=True)
class Fault:
    """The `number`th call of this name, in each thread, fails so."""

    call: str
    error: str
    number: int

    @property
    def options(self) -> tuple[str, ...]:
        inject = f"inject={self.call}:error={self.error}:when={self.number}"
        return ("-e", f"trace={self.call}", "-e", inject)


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A doorbell's folder after some clips; new clips push out its oldest."""

    folder: Path
    size_bytes: int
    units: list[Handed]
    names: dict[str, list[str]]
    """Of the units of each clip."""

    def units_but_of(self, clip_ids: Iterable[str]) -> list[Handed]:
        """Return what was recorded, without these clips."""
        gone = {name for clip_id in clip_ids for name in self.names.get(clip_id, [])}
        return [unit for unit in self.units if unit.name not in gone]

    def doorbell(self, folder: Path, *, keep_bytes: int | None = None) -> RecordingDoorbell:
        shutil.copytree(self.folder, folder / "data")
        keep_bytes = keep_bytes or self.size_bytes
        return RecordingDoorbell(folder / "data", folder / "notes", keep_bytes=keep_bytes)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    return asyncio.run(make_template(tmp_path_factory.mktemp("template")))


async def make_template(folder: Path) -> Template:
    """A doorbell that was killed in the middle of a clip."""
    async with RecordingDoorbell(folder / "data", folder / "notes", speed=8.0) as doorbell:
        await doorbell.start()
        life = await doorbell.until(lambda life: len(life.units) > 250)
        killed_ns = await doorbell.kill()
        shutil.copytree(doorbell.folder, folder / "seen")
        with remains_of(folder / "seen") as remains:
            names = {clip.clip_id: remains.names_of(clip) for clip in remains.clips}
        return Template(
            folder=doorbell.folder,
            names=names,
            size_bytes=sum(path.stat().st_size for path in (doorbell.folder / "clips").iterdir()),
            units=[unit for unit in life.units if unit.at_ns < killed_ns - SAFE_AFTER_S * S],
        )


async def test_whatever_call_fails_recording_goes_on_within_five_seconds(
    template: Template, tmp_path: Path
) -> None:
    dice = seeded_dice()
    counts = await count_calls(template, tmp_path / "clean", is_start=False)
    faults = chosen(all_faults(counts), dice, TRIES)
    met_count = await try_all(faults, template, tmp_path, survive)
    assert met_count >= 0.6 * len(faults), "too few faults were met to prove anything"


async def test_whatever_call_fails_at_the_start_no_clip_is_lost_by_it(
    template: Template, tmp_path: Path
) -> None:
    dice = seeded_dice()
    counts = await count_calls(template, tmp_path / "clean", is_start=True)
    faults = chosen(all_faults(counts), dice, TRIES // 3)
    met_count = await try_all(faults, template, tmp_path, start_all_the_same)
    assert met_count >= 0.6 * len(faults), "too few faults were met to prove anything"


@pytest.mark.parametrize("database", ["outbox.sqlite3", "outbox.sqlite3-shm", "library.sqlite3"])
async def test_a_database_that_once_could_only_be_opened_for_reading_is_opened_anew(
    template: Template, tmp_path: Path, database: str
) -> None:
    """SQLite falls back to that by itself, and would stay with it."""
    calls = await calls_of(
        template, tmp_path / "clean", is_start=True, until=lambda life: len(life.units) > FPS
    )
    numbers = sorted(opens_of(calls, database))[:OPENS_TRIED]
    faults = [Fault("openat", "EIO", number) for number in numbers]
    assert await try_all(faults, template, tmp_path, start_and_recover) > 0


async def start_and_recover(template: Template, folder: Path, fault: Fault) -> bool:
    """Let one call of a start fail; whatever was told of the card is over at the end."""
    was_met = await start_all_the_same(template, folder, fault)
    life = read_journal(folder / "notes" / "journal")[-1]
    assert [card.name for card in life.card[-1:]] in ([], ["ok"])
    return was_met


def opens_of(calls: list[strace.Call], name: str) -> set[int]:
    """Return the numbers, each in its thread, of the calls that open a file for writing."""
    numbers: Counter[int] = Counter()
    found = set()
    for call in calls:
        numbers[call.thread] += call.name == "openat"
        if call.text.rstrip().endswith(">") and f"/{name}>" in call.text and "O_RDWR" in call.text:
            found.add(numbers[call.thread])
    return found


async def try_all(
    faults: list[Fault],
    template: Template,
    folder: Path,
    try_one: Callable[[Template, Path, Fault], Awaitable[bool]],
) -> int:
    """Try each fault on a copy of the template; return how many were met."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def try_in_turn(number: int, fault: Fault) -> bool:
        async with slots:
            return await try_one(template, folder / f"{number}", fault)

    tries = [try_in_turn(number, fault) for number, fault in enumerate(faults)]
    results = await asyncio.gather(*tries, return_exceptions=True)
    failures = [
        f"{fault}: {result!r}"
        for fault, result in zip(faults, results, strict=True)
        if isinstance(result, BaseException)
    ]
    assert not failures, "\n".join(failures)
    return sum(result is True for result in results)


async def count_calls(template: Template, folder: Path, *, is_start: bool) -> Counter[str]:
    """Return how often the busiest thread makes each call in a few seconds without a fault."""
    calls = await calls_of(template, folder, is_start=is_start)
    by_thread = Counter((call.name, call.thread) for call in calls)
    busiest: Counter[str] = Counter()
    for (name, _), count in by_thread.items():
        busiest[name] = max(busiest[name], count)
    return busiest


async def calls_of(
    template: Template,
    folder: Path,
    *,
    is_start: bool,
    until: Callable[[Life], bool] = lambda life: life.ready_ns is not None,
) -> list[strace.Call]:
    """Return the calls of a few seconds without a fault, or of a start, until it came so far."""
    async with template.doorbell(folder) as doorbell:
        log = folder / "calls"
        await doorbell.start(is_waiting=is_start)
        if not is_start:
            await doorbell.until()
        async with strace.attached(doorbell.pid, "-e", "trace=" + ",".join(ERRORS), log=log):
            if is_start:
                doorbell.go()
                await doorbell.until(until)
            else:
                await asyncio.sleep(COUNTED_S)
        await doorbell.end()
        return list(strace.read_calls(log))


def all_faults(counts: Counter[str]) -> list[Fault]:
    return [
        Fault(call, error, number)
        for call, errors in ERRORS.items()
        for error in errors
        for number in range(1, max(2, counts[call]) + 1)
    ]


def chosen(faults: list[Fault], dice: random.Random, tries: int) -> list[Fault]:
    """Return some of them, each kind of call and error in its turn; all if `tries` is 0."""
    dice.shuffle(faults)
    if tries == 0:
        return faults
    rank: Counter[tuple[str, str]] = Counter()
    ranked = []
    for fault in faults:
        rank[fault.call, fault.error] += 1
        ranked.append((rank[fault.call, fault.error], fault))
    return [fault for _, fault in sorted(ranked, key=lambda one: one[0])[:tries]]


async def survive(template: Template, folder: Path, fault: Fault) -> bool:
    """Let one call fail, then look at everything; False if the fault wasn't met."""
    async with template.doorbell(folder) as doorbell:
        log = folder / "calls"
        await doorbell.start()
        await doorbell.until()
        async with strace.attached(doorbell.pid, *fault.options, log=log):
            began_ns, lives_s = time.monotonic_ns(), COUNTED_S + RECOVERED_S + SAFE_AFTER_S
            await asyncio.sleep(lives_s)
            # While a busy machine kept it from going on it made no calls that could fail.
            await doorbell.until(
                lambda life: life.went_on_ns(began_ns, time.monotonic_ns()) >= lives_s * S
            )
        await doorbell.end()
        was_met = any(call.is_injected for call in strace.read_calls(log))
        life = doorbell.lives[-1]
        with remains_of(doorbell.folder) as remains:
            remains.assert_all_in_order()
            assert remains.missing(life.units) == [], fault
            assert_presses_are_kept(life, remains, str(fault))
        return was_met


async def start_all_the_same(template: Template, folder: Path, fault: Fault) -> bool:
    """Let one call of a start fail; the start goes on, or the next one does. False if not met."""
    async with template.doorbell(folder, keep_bytes=10**9) as doorbell:
        log = folder / "calls"
        await doorbell.start(is_waiting=True)
        async with strace.attached(doorbell.pid, *fault.options, log=log):
            doorbell.go()
            await doorbell.until_ready_or_ended()
            await asyncio.sleep(SAFE_AFTER_S)
        met = [call for call in strace.read_calls(log) if call.is_injected]
        if doorbell.process.returncode is not None:
            assert "Error" in doorbell.words.read_text(), fault
            await doorbell.start()
            await doorbell.until(lambda life: bool(life.presses))
        elif met:  # perhaps a moment ago
            await asyncio.sleep(RECOVERED_S - (time.monotonic_ns() - met[-1].from_ns) / S)
        await doorbell.end()
        with remains_of(doorbell.folder) as remains:
            remains.assert_all_in_order()
            assert remains.missing(template.units_but_of(remains.deleted)) == [], fault
            assert_presses_are_kept(doorbell.lives[-1], remains, str(fault))
            assert len(remains.deleted) <= len(met)
        return bool(met)


def assert_presses_are_kept(life: Life, remains: Remains, what: str) -> None:
    """Every press of a life that ended in good order is told and has its clip."""
    assert life.done_ns is not None, what
    assert remains.unaccepted(life.rings) == [], what
    assert remains.without_clip(life.rings) == [], what


OUTAGES = {
    "read-only": ("pwrite64,fdatasync,fsync,unlink,ftruncate", "EROFS"),
    "gone": ("openat,pread64,pwrite64,fdatasync,fsync,unlink,newfstatat,statfs", "EIO"),
}


async def test_a_card_that_takes_nothing_for_three_seconds_loses_no_press_and_comes_back(
    template: Template, tmp_path: Path
) -> None:
    async with asyncio.TaskGroup() as group:
        for kind in OUTAGES:
            group.create_task(outlive(template, tmp_path / kind, kind))


async def outlive(template: Template, folder: Path, kind: str) -> None:
    """Let every call of a kind fail for a while, then look at everything."""
    calls, error = OUTAGES[kind]
    async with template.doorbell(folder, keep_bytes=10**9) as doorbell:
        await doorbell.start()
        await doorbell.until(lambda life: len(life.presses) >= 2)
        outage_ns = time.monotonic_ns()
        inject = f"inject={calls}:error={error}"
        async with strace.attached(
            doorbell.pid, "-e", f"trace={calls}", "-e", inject, log=folder / "calls"
        ):
            await asyncio.sleep(OUTAGE_S)
            await doorbell.until(lambda life: any(ring.at_ns > outage_ns for ring in life.rings))
        over_ns = time.monotonic_ns()
        await asyncio.sleep(RECOVERED_S + 2 * SAFE_AFTER_S)
        await doorbell.until(lambda life: [card.name for card in life.card[-1:]] == ["ok"])
        await doorbell.end()
        life = doorbell.lives[-1]
        with remains_of(doorbell.folder) as remains:
            remains.assert_all_in_order()
            assert_presses_are_kept(life, remains, kind)
            lost = remains.missing([*template.units, *life.units])
        before = [one for one in lost if life.went_on_ns(one.at_ns, outage_ns) > SAFE_AFTER_S * S]
        after = [one for one in lost if life.went_on_ns(over_ns, one.at_ns) > RECOVERED_S * S]
        assert (before, after) == ([], [])
        assert [card.name for card in life.card] == ["failing", "ok"]
        assert any(outage_ns < ring.at_ns < over_ns for ring in life.rings), "nobody pressed"


@pytest.mark.parametrize("pictures_after_it", [0, 1])
async def test_a_sync_that_fails_costs_no_picture_that_follows(
    tmp_path: Path, pictures_after_it: int
) -> None:
    """All is written by then, perhaps to the newest picture that there is; only the sync fails."""
    card = BadCard()
    async with running(RecordingRig(tmp_path, card=card)) as rig:
        await rig.film(4.3)
        rig.press()
        await rig.film_slowly(0.2)
        await asyncio.sleep(5 * TURN_S)
        card.may_sync.clear()
        await rig.film_slowly(0.1)
        await eventually(lambda: card.is_stalled)
        card.error = errno.EIO
        await rig.film_slowly(pictures_after_it / FPS)
        card.may_sync.set()
        await eventually(lambda: bool(rig.card_states))
        card.error = None
        await rig.film_slowly(4)
        clips = [await rig.next_clip(), await rig.next_clip()]
        kept = {unit.data for clip in clips for unit in rig.playback.units(clip)}
    first = next(n for n, unit in enumerate(rig.filmed) if unit.data in kept)
    last = max(n for n, unit in enumerate(rig.filmed) if unit.data in kept)
    lost = [n for n in range(first, last) if rig.filmed[n].data not in kept]
    assert lost == []
