"""The microphone: off until the owner switches it on, and even then open only for a listener.

card ─► sample clock ─► frames of 20 ms ─► echo canceller ─► hub ─► subscribers. All before
the hub runs on the driver's thread. `Microphone` is a `SoundFeed`; so is `HalfDuplex`, which is for
viewers: where no canceller takes the speaker's sound out, it gives them silence while the speaker
says something.
"""

import asyncio
import random
from typing import Literal

from firmware.sound.audio_device import AudioDevices, DeviceStream
from firmware.sound.echo import Echo
from firmware.sound.errors import NO_CARD, NoAudioDevice
from firmware.sound.frames import (
    FRAME_BYTES,
    FRAME_SAMPLES,
    SILENCE,
    SoundFrame,
    pts_90k_of_sample,
)
from firmware.sound.microphone_switch import MicrophoneSwitch
from firmware.sound.sample_clock import SampleClock
from firmware.sound.sound_hub import SoundHub, SoundSubscription
from firmware.sound.sound_level import SoundLevel
from firmware.sound.stream_keeper import StreamKeeper
from firmware.system.listeners import Listeners

MicrophoneState = Literal["off", "on", "none"]


class Microphone:
    """The microphone, a `KeptDevice`. Build it inside the running loop; `run` until cancelled.

    `changes` is notified, on the loop, when `state` may have changed.
    """

    def __init__(
        self,
        card: AudioDevices | None,
        *,
        device: str,
        switch: MicrophoneSwitch,
        echo: Echo,
        source: random.Random,
    ) -> None:
        """Without a sound card there is no microphone."""
        self._card = card
        self._device = device
        self._switch = switch
        self._echo = echo
        self._hub = SoundHub(asyncio.get_running_loop())
        self._keeper = StreamKeeper("microphone", self, source=source)
        self._level: SoundLevel | None = None
        self._hub.left.add(self._keeper.look)
        self.changes = Listeners[()]()
        self._keeper.changes.add(self.changes.notify)

    @property
    def has_device(self) -> bool:
        """Whether there is a sound card that could have one."""
        return self._card is not None

    @property
    def is_on(self) -> bool:
        """Whether there is a microphone, and the owner has it on."""
        return self._card is not None and self._switch.is_on

    @property
    def is_wanted(self) -> bool:
        """Whether the microphone is on and has a listener, or its level is measured."""
        return self._is_measured or (self.is_on and self._hub.has_readers)

    @property
    def state(self) -> MicrophoneState:
        """ "none": there is none, or it is on and can't be used; `trouble` says why."""
        if self._card is None:
            return "none"
        if not self.is_on:
            return "off"
        return "none" if self._keeper.state == "failing" else "on"

    @property
    def trouble(self) -> str:
        """Why the microphone can't be used; "" while all is well."""
        return self._keeper.detail if self._keeper.state == "failing" else ""

    @property
    def has_failed(self) -> bool:
        """Whether the microphone failed when it was last wanted; never while it is off."""
        return self.is_on and self._keeper.has_failed

    async def switch(self, is_on: bool) -> None:
        """Switch it on or off, and remember that; off forgets what was not heard yet.

        Off counts before anything is waited for. Raise NoAudioDevice if there is none, OSError if
        the memory card doesn't take it.
        """
        if is_on and self._card is None:
            raise NoAudioDevice(NO_CARD)
        if is_on and self._switch.is_vetoed:
            raise NoAudioDevice("the settings in the owner's app keep the microphone off")
        self._switch.want(is_on)
        if not is_on:
            self._follow_switch()
        try:
            await self._switch.keep()
        finally:
            if is_on:
                self._follow_switch()

    def veto(self, is_vetoed: bool) -> None:
        """Keep it off from now on whatever its switch says, or let the switch count again."""
        if self._switch.is_vetoed != is_vetoed:
            self._switch.is_vetoed = is_vetoed
            self._follow_switch()

    def subscribe(self, name: str, *, max_frames: int) -> SoundSubscription:
        """Return the frames from now on; the first take a moment, as the device opens."""
        subscription = self._hub.subscribe(name, max_frames=max_frames)
        self._keeper.look()
        return subscription

    def measure(self) -> SoundLevel | None:
        """Measure how loud it is from now on, also while it is off; None without a sound card.

        Until `end_measuring` nobody gets a frame, whoever has subscribed: of what is said only the
        level is known.
        """
        if self._card is None:
            return None
        self._level = level = SoundLevel()
        self._hub.discard()
        self._keeper.look()
        return level

    def end_measuring(self) -> None:
        """Measure no more; the microphone is as it was."""
        self._level = None
        self._keeper.look()

    async def run(self) -> None:
        """Keep the device open while it is wanted, until cancelled."""
        await self._keeper.run()

    @property
    def _is_measured(self) -> bool:
        return self._card is not None and self._level is not None

    def _follow_switch(self) -> None:
        if not self.is_on:
            self._hub.discard()
        self._keeper.look()
        self.changes.notify()

    def open_stream(self) -> DeviceStream:
        """Open the microphone's stream; for the keeper."""
        if self._card is None:
            raise NoAudioDevice(NO_CARD)
        self._echo.prepare()
        return self._card.open_microphone(self._device, _Framing(self._echo, self).take)

    def put(self, frame: SoundFrame) -> None:
        """Hand in one frame on the driver's thread; dropped while the microphone is off.

        While its level is measured it is dropped as well, once it is measured.
        """
        level = self._level
        if level is not None:
            level.take(frame.samples)
        elif self.is_on:
            self._hub.put(frame)


class _Framing:
    """Makes frames of one stream's blocks (on the driver's thread)."""

    def __init__(self, echo: Echo, microphone: Microphone) -> None:
        self._echo = echo
        self._microphone = microphone
        self._line = SampleClock()
        self._rest = b""
        self._index = 0

    def take(self, samples: bytes, at_ns: int) -> None:
        placed = self._line.place(samples, at_ns)
        if placed is None:
            return
        if placed.index != self._index + len(self._rest) // 2:
            self._index, self._rest = placed.index, b""
        self._rest += placed.samples
        while len(self._rest) >= FRAME_BYTES:
            frame, self._rest = self._rest[:FRAME_BYTES], self._rest[FRAME_BYTES:]
            clean = self._echo.cancel(self._index, frame)
            self._microphone.put(SoundFrame(pts_90k=pts_90k_of_sample(self._index), samples=clean))
            self._index += FRAME_SAMPLES


class HalfDuplex:
    """The microphone's feed for viewers, muted while the speaker plays: a `SoundFeed`."""

    def __init__(self, microphone: Microphone, echo: Echo) -> None:
        self._microphone = microphone
        self._echo = echo

    @property
    def is_on(self) -> bool:
        """Whether the owner has the microphone on."""
        return self._microphone.is_on

    def subscribe(self, name: str, *, max_frames: int) -> "HalfDuplexStream":
        """Return the frames from now on."""
        return HalfDuplexStream(self._microphone.subscribe(name, max_frames=max_frames), self._echo)


class HalfDuplexStream:
    """One viewer's frames: a `SoundStream`."""

    def __init__(self, frames: SoundSubscription, echo: Echo) -> None:
        self._frames = frames
        self._echo = echo

    def close(self) -> None:
        """End the iteration; may be called twice."""
        self._frames.close()

    def __aiter__(self) -> "HalfDuplexStream":
        return self

    async def __anext__(self) -> SoundFrame:
        """Return the next frame; cancelling the wait loses none."""
        frame = await anext(self._frames)
        if self._echo.can_cancel or not self._echo.is_heard(frame.pts_90k * 8 // 15):
            return frame
        return SoundFrame(pts_90k=frame.pts_90k, samples=SILENCE)
