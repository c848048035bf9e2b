"""Ten times `kill -9` (DOORWARD_KILLS=N: so often), while somebody keeps ringing.

An accepted press (the doorbell said ok: it lies in the outbox) arrives once, in order and with
its original time, whatever was killed; clips are playable; in the end the whole story goes
on as if nothing had been. The seed is printed: DOORWARD_SEED=N plays the same again.
"""

import asyncio
import os
import random
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass
from pathlib import Path

import av
import pytest

from tests.faults.town import Town, running_town
from tests.story.api import Json, ask_until
from tests.story.servers import program
from tests.story.settings import StoryError
from tests.story.town import AHEAD_MS

pytestmark = [pytest.mark.services, pytest.mark.slow]

KILLS = int(os.environ.get("DOORWARD_KILLS", "10"))
VICTIMS = ("doorbell", "relay", "broker", "store")
QUIET_S = 8.0
"""Post-roll, and a full ring for the story that follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ring:
    """One press as the person at the door knows it; wall times in ms."""

    from_ms: int
    to_ms: int


class Ringer:
    """Somebody who rings again and again, and remembers which presses were taken."""

    def __init__(self, town: Town, dice: random.Random) -> None:
        self._door = town.people.door
        self._dice = dice
        self.taken: list[Ring] = []
        self.tried_count = 0

    @asynccontextmanager
    async def ringing(self) -> AsyncIterator[None]:
        """Ring until the end of the block."""
        task = asyncio.create_task(self._ring_for_ever(), name="ringer")
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _ring_for_ever(self) -> None:
        while True:
            from_ms = _town_ms()
            self.tried_count += 1
            with suppress(StoryError, OSError):
                await self._door.ring()
                to_ms = _town_ms()
                self.taken.append(Ring(from_ms=from_ms, to_ms=to_ms))
            await asyncio.sleep(self._dice.uniform(0.1, 0.5))


def _town_ms() -> int:
    return time.time_ns() // 1_000_000 + AHEAD_MS


async def test_kills_at_any_moment_lose_no_press_and_break_no_clip(tmp_path: Path) -> None:
    seed = int(os.environ.get("DOORWARD_SEED", random.randrange(10**6)))
    print(f"DOORWARD_SEED={seed}")
    dice = random.Random(seed)
    async with running_town(tmp_path) as town:
        ringer = Ringer(town, dice)
        async with ringer.ringing():
            await _kill_again_and_again(town, dice)
            await asyncio.sleep(1.0)
        events = await _all_events(town, ringer)
        _check_presses(events, ringer, _carried_count(town))
        await asyncio.sleep(QUIET_S)
        await _check_clips(town, await _all_events(town, ringer))
        await town.play.tell()
        assert town.steps.has_all_held


async def _kill_again_and_again(town: Town, dice: random.Random) -> None:
    victims = [VICTIMS[number % len(VICTIMS)] for number in range(KILLS)]
    dice.shuffle(victims)
    for victim in victims:
        await asyncio.sleep(dice.uniform(0.0, 1.0))
        await town.kill_and_restart(victim)


async def _all_events(town: Town, ringer: Ringer) -> list[Json]:
    """Return all events at the owner's, oldest first, once every taken press is among them."""

    async def ask() -> tuple[list[Ring], list[Json]]:
        events = await town.people.owner.all_events()
        return [ring for ring in ringer.taken if not _presses_in(events, ring)], events

    what = "every accepted press has arrived (the answer begins with those that haven't)"
    _, events = await ask_until(what, ask, lambda told: not told[0], timeout_s=30.0)
    return events


def _presses_in(events: list[Json], ring: Ring) -> list[Json]:
    return [
        event
        for event in events
        if event["body"]["type"] == "pressed" and ring.from_ms <= event["time_ms"] <= ring.to_ms
    ]


def _check_presses(events: list[Json], ringer: Ringer, carried_count: int) -> None:
    presses = [event for event in events if event["body"]["type"] == "pressed"]
    assert len(ringer.taken) >= KILLS // 2, "too few presses were taken to prove anything"
    for ring in ringer.taken:
        assert len(_presses_in(events, ring)) == 1
    assert len(presses) <= ringer.tried_count
    assert max(Counter(event["id"] for event in events).values()) == 1
    seqs = [event["seq"] for event in events]
    assert seqs == sorted(set(seqs))
    lost = set(range(seqs[0], seqs[-1] + 1)) - set(seqs)
    assert len(lost) <= carried_count, "an event was lost that is no picture"
    times_ms = [event["time_ms"] for event in presses]
    assert times_ms == sorted(times_ms)


def _carried_count(town: Town) -> int:
    """Return how many events the relay has committed that it shows to nobody: sealed pictures."""
    with closing(sqlite3.connect(town.settings.data_dir / "relay" / "relay.sqlite3")) as database:
        return int(
            database.execute("SELECT count(*) FROM event_ids WHERE NOT is_kept").fetchone()[0]
        )


async def _check_clips(town: Town, events: list[Json]) -> None:
    """Every clip that was told can be opened at the card, and is as long as it was told to be."""
    clips = {
        event["body"]["clip_id"]: event["body"]
        for event in events
        if event["body"]["type"] == "clip_ready"
    }
    assert clips
    for clip_id, clip in clips.items():
        file = town.settings.data_dir / f"{clip_id}.mp4"
        await _export(town.settings.doorbell_dir / "doorbell.toml", clip_id, file)
        seconds = await asyncio.to_thread(_play, file)
        assert seconds == pytest.approx(clip["duration_ms"] / 1000, abs=0.3)


async def _export(config: Path, clip_id: str, file: Path) -> None:
    words = ("--config", str(config), "clips", "export", clip_id, "--to", str(file))
    process = await asyncio.create_subprocess_exec(
        program("doorward-firmware"), *words, stderr=asyncio.subprocess.PIPE
    )
    _, said = await process.communicate()
    assert process.returncode == 0, said.decode()


def _play(mp4: Path) -> float:
    """Decode key frames to the end; return when the last frame begins, in seconds."""
    with av.open(str(mp4), "r") as container:
        stream = container.streams.video[0]
        stream.codec_context.skip_frame = "NONKEY"
        packets = [packet for packet in container.demux(stream) if packet.pts is not None]
        decoded = sum(len(packet.decode()) for packet in packets)
        assert decoded >= 1
        first, last = packets[0], packets[-1]
        assert first.is_keyframe
        return float((last.pts - first.pts) * stream.time_base)
