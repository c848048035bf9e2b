"""CPU of the microphone at its own pace: its thread's framing, the hub, and Opus for one viewer.

A sound card in memory hands in voices' loudness, 50 blocks a second. Nothing is played meanwhile,
so no echo is cancelled, as at most times.
"""

import array
import asyncio
import random
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

from firmware.sound.audio_device import AudioDevices
from firmware.sound.echo import Echo
from firmware.sound.echo_reference import EchoReference
from firmware.sound.frames import FRAME_SAMPLES, FRAMES_PER_S
from firmware.sound.microphone import HalfDuplex, Microphone
from firmware.sound.microphone_switch import MicrophoneSwitch
from firmware.sound.opus import OpusFeed, OpusPacket
from firmware.system.clock import SystemClock
from tests.fakes.sound import FakeCard

LOUDNESS = 3_000
BLOCKS = 50
MAX_PACKETS = 10
LEAST_HEARD = 0.5
"""Of the packets; on a busy machine some are left out."""


async def microphone_percent(seconds: float) -> float:
    """Return % of a core for so many seconds, the process's all threads."""
    clock, blocks = SystemClock(), _blocks()
    card = FakeCard(clock)  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory() as name:
        switch = MicrophoneSwitch(Path(name) / "sound.json", is_on_at_first=True)
        echo = Echo(EchoReference(), None)
        devices: AudioDevices = card
        microphone = Microphone(
            devices, device="", switch=switch, echo=echo, source=random.Random(5)
        )
        feed = OpusFeed(HalfDuplex(microphone, echo), clock=clock)
        tasks = [asyncio.create_task(microphone.run())]
        packets = feed.subscribe("benchmark", max_packets=MAX_PACKETS)
        try:
            while not card.open_now("microphone"):  # noqa: ASYNC110 - the keeper's thread opens it
                await asyncio.sleep(0.01)
            counting = asyncio.create_task(_count(packets))
            begun_s, begin_s = time.monotonic(), time.process_time()
            await asyncio.to_thread(_speak, card, blocks, seconds)
            used_s, took_s = time.process_time() - begin_s, time.monotonic() - begun_s
            packets.close()
            count = await counting
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    if count < LEAST_HEARD * seconds * FRAMES_PER_S:
        raise RuntimeError(f"{count} packets of {seconds:g} s were encoded")
    return 100 * used_s / took_s


async def _count(packets: AsyncIterator[OpusPacket]) -> int:
    count = 0
    async for _ in packets:
        count += 1
    return count


def _speak(card: FakeCard, blocks: list[bytes], seconds: float) -> None:
    begun_s = time.monotonic()
    for number in range(round(seconds * FRAMES_PER_S)):
        time.sleep(max(0.0, begun_s + number / FRAMES_PER_S - time.monotonic()))
        card.hear(blocks[number % len(blocks)])


def _blocks() -> list[bytes]:
    dice = random.Random(6)
    return [
        array.array("h", (round(dice.gauss(0, LOUDNESS)) for _ in range(FRAME_SAMPLES))).tobytes()
        for _ in range(BLOCKS)
    ]
