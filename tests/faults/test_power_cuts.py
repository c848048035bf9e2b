"""The power goes ten times (DOORWARD_POWER_CUTS=N: so often) while a doorbell records.

One card, several lives of one doorbell, each ended by `kill -9`, and now and then a sync of the
card takes 50 to 2,000 ms. Each cut's card is then started from. At most the last second of video
is missing, not counting time in which the card was busy with a sync: what it has not taken, no
program can make durable, nor time in which a busy machine held the process up. See `card` for what
this rig can't show.
"""

import asyncio
import hashlib
import mmap
import os
import random
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from firmware.errors import VaultError
from firmware.protocol.encoding import unb64u
from firmware.vault.sealed_file import Vault, read_header
from firmware.vault.storage_key import FileStorageKey, unwrap
from tests.faults import card, strace
from tests.faults.doorbells import RecordingDoorbell, seeded_dice
from tests.faults.remains import Life, Remains, S, remains_of

CUTS = int(os.environ.get("DOORWARD_POWER_CUTS", "10"))
CUTS_A_LIFE = 3
LIVES_A_CARD = 5
CARDS_AT_ONCE = 2
STALLS_MS = (50, 300, 800, 1400, 2000)
SAFE_AFTER_S = 1.0
AFTERWARDS_S = 1.5
BLOCK_BYTES = 4096

REASON = card.reason_against() or strace.reason_against()
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(REASON), reason=REASON)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """What was on the card when the power went."""

    at_ns: int
    image: Path


class Ciphertexts:
    """Every sealed record that was ever seen on any card: one key and nonce, one ciphertext."""

    def __init__(self) -> None:
        self._seen: dict[tuple[bytes, int], str] = {}

    def see(self, folder: Path) -> None:
        """Look at all records of all files that open."""
        key = FileStorageKey(folder / "storage.key")
        vault = Vault(key)
        for path in (folder / "clips").glob("*"):
            try:
                header, begin = read_header(path)
                data_key = unwrap(key, unb64u(header.wrapped_key), header.context)
                records = list(_opened(vault, path))
            except VaultError:
                continue  # torn before its first record
            data = path.read_bytes()
            for number, end in enumerate(records):
                digest = hashlib.sha256(data[begin:end]).hexdigest()
                used = (data_key, number)
                where = f"{path.name}, record {number}"
                assert self._seen.setdefault(used, digest) == digest, where
                begin = end

    def __len__(self) -> int:
        return len(self._seen)


def _opened(vault: Vault, path: Path) -> Iterable[int]:
    """Yield where each record ends, up to the first that isn't whole."""
    try:
        for record in vault.open(path).records():
            yield record.end
    except VaultError:
        return


async def test_a_power_cut_costs_at_most_a_second_and_breaks_nothing(tmp_path: Path) -> None:
    dice = seeded_dice()
    slots = asyncio.Semaphore(CARDS_AT_ONCE)
    cards = []
    for begin in range(0, CUTS, CUTS_A_LIFE * LIVES_A_CARD):
        folder = tmp_path / f"{begin}"
        folder.mkdir()
        cuts = min(CUTS - begin, CUTS_A_LIFE * LIVES_A_CARD)
        cards.append(wear_out_a_card(folder, cuts, random.Random(dice.random()), slots))
    for result in await asyncio.gather(*cards, return_exceptions=True):  # all unmounted by then
        if isinstance(result, BaseException):
            raise result


async def wear_out_a_card(
    folder: Path, wanted: int, dice: random.Random, slots: asyncio.Semaphore
) -> None:
    """One doorbell on one card: several lives, so many cuts in all; then look at each."""
    async with slots:
        with card.inserted_card(folder) as inserted:
            async with RecordingDoorbell(inserted.mounted / "data", folder / "notes") as doorbell:
                cuts: list[Cut] = []
                killed_ns: list[int] = []
                for stall_ms in dice.sample(STALLS_MS, LIVES_A_CARD):
                    count = min(CUTS_A_LIFE, wanted - len(cuts))
                    cuts += await live(doorbell, inserted, folder, stall_ms, count, dice)
                    killed_ns.append(await doorbell.kill())
                await asyncio.to_thread(look_at_all, doorbell, cuts, killed_ns, folder, dice)
                await go_on_from(cuts[-1], folder)


async def live(
    doorbell: RecordingDoorbell,
    inserted: card.Card,
    folder: Path,
    stall_ms: int,
    wanted: int,
    dice: random.Random,
) -> list[Cut]:
    """One process, on a card that stalls now and then; cut the power `wanted` times."""
    every = 3 + stall_ms // 250
    stall = f"inject=fdatasync,fsync:delay_enter={stall_ms}ms:when={dice.randint(2, every)}+{every}"
    await doorbell.start(is_waiting=True)
    log = folder / "notes" / f"calls-{doorbell.pid}"
    async with strace.attached(doorbell.pid, "-e", "trace=fdatasync,fsync", "-e", stall, log=log):
        doorbell.go()
        await doorbell.until()
        cuts = []
        for _ in range(wanted):
            await asyncio.sleep(dice.uniform(0.1, 1.7))
            at_ns = time.monotonic_ns()
            cuts.append(Cut(at_ns=at_ns, image=inserted.cut()))
    return cuts


def look_at_all(
    doorbell: RecordingDoorbell,
    cuts: list[Cut],
    killed_ns: list[int],
    folder: Path,
    dice: random.Random,
) -> None:
    """Recover each cut's card as a start does, and see that what must be there is there."""
    lives = doorbell.lives
    syncs = [sync for log in (folder / "notes").glob("calls-*") for sync in strace.read_calls(log)]
    assert sum(sync.is_injected for sync in syncs) >= len(killed_ns), "the card hardly stalled"
    busy = [(sync.from_ns, sync.to_ns) for sync in syncs]
    seen = Ciphertexts()
    seen.see(doorbell.folder)
    for cut in cuts:
        assert_shows_no_picture(cut.image, lives)
        torn = copy_of(cut.image)
        with card.mounted(cut.image, folder / "cut") as mounted:
            seen.see(mounted / "data")
            with remains_of(mounted / "data") as remains:
                remains.assert_all_in_order()
                for life, life_killed_ns in zip(lives, killed_ns, strict=True):
                    dead_ns = min(cut.at_ns, life_killed_ns)
                    assert_nothing_is_lost(remains, life, dead_ns, busy)
            seen.see(mounted / "data")
        with card.mounted(torn, folder / "cut") as mounted:
            tear_newest_clip(mounted / "data", dice)
    assert len(seen) > len(cuts)


def assert_nothing_is_lost(
    remains: Remains, life: Life, dead_ns: int, busy: list[tuple[int, int]]
) -> None:
    lost = [
        unit
        for unit in remains.missing(life.units)
        if unit.at_ns < dead_ns
        and idle_ns(unit.at_ns, dead_ns, busy) - life.held_up_ns(unit.at_ns, dead_ns)
        > SAFE_AFTER_S * S
    ]
    ages_s = [(dead_ns - unit.at_ns) / S for unit in lost]
    assert lost == [], f"lost, handed over so many seconds before the cut: {ages_s}"
    accepted = [press for press in life.presses if press.at_ns <= dead_ns]
    assert remains.unaccepted(accepted) == []


def idle_ns(from_ns: int, to_ns: int, busy: list[tuple[int, int]]) -> int:
    """Return how long, between these moments, no sync was under way."""
    idle, at_ns = 0, from_ns
    for begin_ns, end_ns in sorted(busy):
        if end_ns <= at_ns:
            continue
        if begin_ns >= to_ns:
            break
        idle += max(0, begin_ns - at_ns)
        at_ns = end_ns
    return idle + max(0, to_ns - at_ns)


def tear_newest_clip(folder: Path, dice: random.Random) -> None:
    """Put garbage into the last block of the newest clip; all before it must be kept."""
    clips = sorted((folder / "clips").glob("*.clip"), key=lambda one: one.stat().st_mtime_ns)
    if not clips or clips[-1].stat().st_size <= BLOCK_BYTES:
        return
    path, size_bytes = clips[-1], clips[-1].stat().st_size
    vault = Vault(FileStorageKey(folder / "storage.key"))
    torn_from = (size_bytes - 1) // BLOCK_BYTES * BLOCK_BYTES
    kept = sum(end <= torn_from for end in _opened(vault, path))
    with path.open("r+b") as file:
        file.seek(torn_from)
        file.write(dice.randbytes(size_bytes - torn_from))
    if kept < 2:
        return  # a header, and at most the record that describes the clip
    with remains_of(folder) as remains:
        clip = remains.shelves.library.find(path.stem)
        assert clip is not None, "a torn clip was thrown away"
        assert len(list(_opened(vault, path))) == kept
        assert remains.names_of(clip)


async def go_on_from(cut: Cut, folder: Path) -> None:
    """Start a doorbell on a cut's card: it goes on, and uses no key and nonce again."""
    seen = Ciphertexts()
    with card.mounted(cut.image, folder / "cut") as mounted:
        seen.see(mounted / "data")
        async with RecordingDoorbell(mounted / "data", folder / "after") as doorbell:
            await doorbell.start()
            await doorbell.until(lambda life: bool(life.presses))
            await asyncio.sleep(AFTERWARDS_S)
            await doorbell.end()
            seen.see(mounted / "data")
            with remains_of(mounted / "data") as remains:
                remains.assert_all_in_order()
                assert remains.missing(doorbell.lives[-1].units) == []


def assert_shows_no_picture(image: Path, lives: list[Life]) -> None:
    """No block of the whole card has an access unit in the clear: each would bear its life's id."""
    marks = {unit.name.rpartition("-")[0] for life in lives for unit in life.units[:1]}
    assert marks
    with image.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole:
        found = [mark for mark in (*marks, "ftyp") if whole.find(mark.encode()) >= 0]
    assert found == []


def copy_of(image: Path) -> Path:
    """Return a copy of an image that shares its blocks."""
    copy = image.with_suffix(".torn")
    subprocess.run(["cp", "--reflink=always", image, copy], check=True)
    return copy
