"""CPU of the microphone at its own pace: its thread's framing, the hub, and Opus for one viewer.

A sound card in memory hands in voices' loudness, 50 blocks a second. Nothing is played meanwhile,
so no echo is cancelled, as at most times.
"""

import array
import asyncio
import random
import tempfile
import threading
import time
from pathlib import Path

from firmware.sound.audio_device import AudioDevices
from firmware.sound.echo import Echo
from firmware.sound.echo_reference import EchoReference
from firmware.sound.frames import FRAME_SAMPLES, FRAMES_PER_S
from firmware.sound.microphone import HalfDuplex, Microphone
from firmware.sound.microphone_switch import MicrophoneSwitch
from firmware.sound.opus import OpusFeed
from firmware.system.clock import SystemClock
from tests.fakes.sound import FakeCard

LOUDNESS = 3_000
BLOCKS = 50
MAX_PACKETS = 10


async def microphone_percent(seconds: float) -> float:
    """Return % of a core for so many seconds, the process's all threads."""
    clock = SystemClock()
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
            begin_s = time.process_time()
            speaking = threading.Thread(target=_speak, args=(card, _blocks(), seconds))
            begun_s = time.monotonic()
            begin_s = time.process_time()
            speaking.start()
            count = 0
            async with asyncio.timeout(10 * seconds + 10):
                while count < seconds * FRAMES_PER_S - FRAMES_PER_S / 10:
                    await anext(packets)
                    count += 1
            used_s, took_s = time.process_time() - begin_s, time.monotonic() - begun_s
            await asyncio.to_thread(speaking.join)
        finally:
            packets.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    return 100 * used_s / took_s


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
