"""firmware.sound.microphone: off until it is switched on, and open only while somebody listens."""

import asyncio
import contextlib
import random
import threading
import time
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest

from firmware.sound.audio_device import DeviceStream
from firmware.sound.echo import Echo
from firmware.sound.echo_reference import EchoReference
from firmware.sound.errors import NO_CARD, NoAudioDevice
from firmware.sound.frames import FRAME_90K, FRAME_SAMPLES, SILENCE, SoundFrame
from firmware.sound.microphone import HalfDuplex, Microphone
from firmware.sound.microphone_switch import MicrophoneSwitch
from firmware.sound.sample_clock import Placed, SampleClock, sample_index_of
from firmware.sound.sound_hub import SoundHub
from firmware.sound.stream_keeper import StreamKeeper
from tests.fakes.clock import ManualClock
from tests.fakes.sound import FakeCard, tone
from tests.fakes.waiting import PATIENCE_S, eventually

BLOCK = tone(440, FRAME_SAMPLES)


class Ear:
    """A microphone on a fake card."""

    def __init__(self, folder: Path, *, is_on: bool = True) -> None:
        self.clock = ManualClock()
        self.card = FakeCard(self.clock)
        self.played = EchoReference()
        self.file = folder / "sound.json"
        self.changes = 0
        self.microphone = Microphone(
            self.card,
            device="",
            switch=MicrophoneSwitch(self.file, is_on_at_first=is_on),
            echo=Echo(self.played, None),
            source=random.Random(1),
        )
        self.microphone.changes.add(self._count)

    def _count(self) -> None:
        self.changes += 1

    @property
    def open_streams(self) -> int:
        return len(self.card.open_now("microphone"))

    def hear(self, seconds: float, block: bytes = BLOCK) -> None:
        for _ in range(round(seconds * 50)):
            self.clock.advance(0.02)
            self.card.hear(block)


class WantedMicrophone:
    """Implements `firmware.sound.stream_keeper.KeptDevice`: always wanted, and nobody listens."""

    is_wanted = True

    def __init__(self, card: FakeCard) -> None:
        self._card = card

    def open_stream(self) -> DeviceStream:
        return self._card.open_microphone("", lambda _samples, _at_ns: None)


@contextlib.asynccontextmanager
async def running(ear: Ear) -> AsyncIterator[Ear]:
    task = asyncio.create_task(ear.microphone.run())
    try:
        yield ear
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_it_is_off_at_first_and_its_device_stays_closed(tmp_path: Path) -> None:
    async with running(Ear(tmp_path, is_on=False)) as ear:
        with ear.microphone.subscribe("clips", max_frames=10):
            await asyncio.sleep(0.05)
            assert ear.microphone.state == "off"
            assert ear.card.opened == []


async def test_it_opens_for_a_listener_and_closes_after_the_last(tmp_path: Path) -> None:
    async with running(Ear(tmp_path)) as ear:
        await asyncio.sleep(0.05)
        assert ear.card.opened == []
        first = ear.microphone.subscribe("clips", max_frames=10)
        second = ear.microphone.subscribe("live", max_frames=10)
        await eventually(lambda: ear.open_streams == 1)
        first.close()
        await asyncio.sleep(0.05)
        assert ear.open_streams == 1
        second.close()
        await eventually(lambda: ear.open_streams == 0)


async def test_frames_are_whole_in_order_and_stamped_by_the_monotonic_clock(
    tmp_path: Path,
) -> None:
    async with running(Ear(tmp_path)) as ear:
        frames = ear.microphone.subscribe("live", max_frames=100)
        await eventually(lambda: ear.open_streams == 1)
        ear.hear(1.0)
        await asyncio.sleep(0)
        first = await anext(frames)
        second = await anext(frames)
        began_ns = ear.clock.monotonic_ns() - 900_000_000
        assert first.samples == second.samples == BLOCK
        assert second.pts_90k - first.pts_90k == FRAME_90K
        assert abs(first.pts_90k - began_ns * 9 // 100_000) < 90 * 2


async def test_switched_off_it_is_silent_at_once_and_forgets_what_waits(tmp_path: Path) -> None:
    async with running(Ear(tmp_path)) as ear:
        frames = ear.microphone.subscribe("live", max_frames=100)
        await eventually(lambda: ear.open_streams == 1)
        ear.hear(1.0)
        await asyncio.sleep(0)
        switching = asyncio.create_task(ear.microphone.switch(False))
        await asyncio.sleep(0)  # the memory card hasn't taken it yet
        ear.hear(1.0)  # the sound card still calls until it is closed
        await switching
        await eventually(lambda: ear.open_streams == 0)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(frames), 0.05)
        assert ear.microphone.state == "off"


async def test_what_the_owner_chose_outlives_a_restart(tmp_path: Path) -> None:
    ear = Ear(tmp_path, is_on=False)
    await ear.microphone.switch(True)
    assert Ear(tmp_path, is_on=False).microphone.state == "on"
    await ear.microphone.switch(False)
    assert Ear(tmp_path, is_on=True).microphone.state == "off"
    assert ear.changes == 2


async def test_a_damaged_switch_means_off(tmp_path: Path) -> None:
    (tmp_path / "sound.json").write_text('{"is_microphone_on": true, "v": 2}')
    assert Ear(tmp_path, is_on=True).microphone.state == "off"


async def test_on_counts_only_once_it_is_written_and_off_counts_even_if_it_cannot_be(
    tmp_path: Path,
) -> None:
    ear = Ear(tmp_path / "nowhere", is_on=False)
    with pytest.raises(OSError):
        await ear.microphone.switch(True)
    assert ear.microphone.state == "off"
    ear = Ear(tmp_path / "nowhere", is_on=True)
    with pytest.raises(OSError):
        await ear.microphone.switch(False)
    assert ear.microphone.state == "off"


async def test_switched_on_and_off_at_one_time_it_is_never_on(tmp_path: Path) -> None:
    ear = Ear(tmp_path, is_on=False)
    turning_on = asyncio.create_task(ear.microphone.switch(True))
    await asyncio.sleep(0)
    turning_off = asyncio.create_task(ear.microphone.switch(False))
    states = {ear.microphone.state}
    while not (turning_on.done() and turning_off.done()):
        await asyncio.sleep(0)
        states.add(ear.microphone.state)
    assert states == {"off"}
    assert Ear(tmp_path, is_on=True).microphone.state == "off"


async def test_a_card_that_is_unplugged_comes_back_by_itself(tmp_path: Path) -> None:
    async with running(Ear(tmp_path)) as ear:
        frames = ear.microphone.subscribe("live", max_frames=1000)
        await eventually(lambda: ear.open_streams == 1)
        ear.hear(1.0)
        ear.card.is_plugged_in = False
        await eventually(lambda: ear.microphone.state == "none")
        assert "microphone" in ear.microphone.trouble or "plug" in ear.microphone.trouble
        assert ear.microphone.has_failed
        ear.clock.advance(3)
        ear.card.is_plugged_in = True
        await eventually(lambda: ear.open_streams == 1 and ear.microphone.state == "on")
        ear.hear(1.0)
        await asyncio.sleep(0)
        pts = [(await anext(frames)).pts_90k for _ in range(80)]
        assert pts == sorted(pts)
        assert max(b - a for a, b in pairwise(pts)) > 90_000 * 3
        assert not ear.microphone.has_failed


async def test_a_doorbell_without_a_card_says_what_to_do(tmp_path: Path) -> None:
    microphone = Microphone(
        None,
        device="",
        switch=MicrophoneSwitch(tmp_path / "s.json", is_on_at_first=True),
        echo=Echo(EchoReference(), None),
        source=random.Random(1),
    )
    assert (microphone.state, microphone.is_on) == ("none", False)
    with pytest.raises(NoAudioDevice, match=r"sound\.card"):
        await microphone.switch(True)
    assert "settings" in NO_CARD


async def test_a_stream_that_opens_after_it_was_given_up_is_closed() -> None:
    card = FakeCard(ManualClock())
    is_let_go = threading.Event()
    card.before_open = lambda: is_let_go.wait(PATIENCE_S) and None
    keeper = StreamKeeper(
        "microphone",
        WantedMicrophone(card),
        source=random.Random(1),
        call_s=0.05,
    )
    task = asyncio.create_task(keeper.run())
    await eventually(lambda: keeper.state == "failing")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert card.opened == []
    is_let_go.set()
    await eventually(lambda: card.opened)
    await eventually(lambda: not card.open_now("microphone"))


async def test_a_stream_that_opens_just_as_it_is_cancelled_is_closed() -> None:
    card = FakeCard(ManualClock())
    keeper = StreamKeeper("microphone", WantedMicrophone(card), source=random.Random(1))
    task = asyncio.create_task(keeper.run())
    await asyncio.sleep(0)
    while not card.opened:  # the loop stands still: it hears of the end before the stream
        time.sleep(0.001)  # noqa: ASYNC251
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await eventually(lambda: card.opened[0].is_closed)


async def test_a_driver_that_hangs_is_not_called_again_before_it_comes_back() -> None:
    card = FakeCard(ManualClock())
    calls: list[str] = []
    is_let_go = threading.Event()

    def hang() -> None:
        calls.append("open")
        is_let_go.wait(PATIENCE_S)

    card.before_open = hang
    keeper = StreamKeeper(
        "microphone",
        WantedMicrophone(card),
        source=random.Random(1),
        call_s=0.05,
    )
    task = asyncio.create_task(keeper.run())
    await eventually(lambda: keeper.state == "failing")
    for _ in range(3):
        keeper.look()
        await asyncio.sleep(0.1)
    assert calls == ["open"]
    keeper._call_s = PATIENCE_S  # a busy machine may take longer for the next one
    is_let_go.set()
    await eventually(lambda: card.opened and card.opened[0].is_closed)
    keeper.look()
    await eventually(lambda: keeper.state == "open")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert len(calls) == 2


async def test_a_viewer_hears_silence_while_the_speaker_speaks_without_a_canceller(
    tmp_path: Path,
) -> None:
    async with running(Ear(tmp_path)) as ear:
        clips = ear.microphone.subscribe("clips", max_frames=1000)
        viewer = HalfDuplex(ear.microphone, Echo(ear.played, None)).subscribe(
            "live", max_frames=1000
        )
        await eventually(lambda: ear.open_streams == 1)
        line = SampleClock(settle_blocks=0)
        for number in range(150):
            ear.clock.advance(0.02)
            says = tone(300, FRAME_SAMPLES) if 50 <= number < 100 else SILENCE
            placed = line.place(says, ear.clock.monotonic_ns())
            assert placed is not None
            ear.played.put(placed, is_silent=says == SILENCE)
            ear.card.hear(BLOCK)
        await asyncio.sleep(0)
        heard = [(await anext(viewer)).samples != SILENCE for _ in range(140)]
        assert all(heard[:40])
        assert not any(heard[48:95])
        assert all(heard[115:])
        assert all([(await anext(clips)).samples == BLOCK for _ in range(140)])


async def test_the_speakers_past_is_found_by_the_sample() -> None:
    played = EchoReference()
    start = sample_index_of(10**12)
    said = tone(440, 48_000 * 3)
    for at in range(0, 48_000 * 3, 960):
        block = said[at * 2 : (at + 960) * 2]
        played.put(Placed(index=start + at, samples=block), is_silent=False)
    assert played.take(start + 100_000, 961) == said[200_000 : 200_000 + 1922]
    assert played.take(start + 144_000 - 10, 20) == said[-20:] + bytes(20)
    assert played.take(start, 960) == bytes(1920)
    assert played.take(start + 200_000, 960) == bytes(1920)
    assert played.take(start + 96_000 - 5, 10) == bytes(10) + said[192_000 : 192_000 + 10]


async def test_a_slow_reader_loses_the_oldest_and_a_stalled_loop_ten_seconds() -> None:
    hub = SoundHub(asyncio.get_running_loop(), max_frames=20)
    reader = hub.subscribe("slow", max_frames=5)
    for number in range(30):
        hub.put(SoundFrame(pts_90k=number, samples=SILENCE))
    await asyncio.sleep(0)
    assert hub.dropped_frames == 10
    assert reader.dropped_frames == 15
    assert [(await anext(reader)).pts_90k for _ in range(5)] == [25, 26, 27, 28, 29]
    reader.close()
    reader.close()
    with pytest.raises(StopAsyncIteration):
        await anext(reader)
    assert not hub.has_readers
