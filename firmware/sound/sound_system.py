"""The wiring of the audio parts: microphone, echo, speaker, talk, quick replies.

    card ─► microphone ─► echo canceller ─┬─► clips (if is_in_clips)
                               ▲          └─► half duplex ─► Opus ─► viewers (if is_in_live_view)
    viewers ─► talk ─┐         │
    quick replies ───┴► speaker┴─► card

Without a sound card the parts are there and say so. Only putting together belongs here.
"""

import asyncio
import logging
import random
from pathlib import Path

from firmware.config.settings import SoundConfig
from firmware.protocol.live import PlayReply
from firmware.sound.audio_device import AudioDevices
from firmware.sound.digits_voice import DigitsVoice
from firmware.sound.echo import Echo, MakeCanceller, choose_canceller
from firmware.sound.echo_reference import EchoReference
from firmware.sound.errors import ReplyRefused, SoundError, SoundMissing
from firmware.sound.file_device import FileDevices
from firmware.sound.microphone import HalfDuplex, Microphone
from firmware.sound.microphone_switch import MicrophoneSwitch
from firmware.sound.opus import OpusFeed
from firmware.sound.portaudio import PortAudioDevices
from firmware.sound.quick_replies import QuickReplies
from firmware.sound.sounds import rising_notes
from firmware.sound.speaker import Speaker
from firmware.sound.speech import Speech
from firmware.sound.talk_floor import TalkFloor
from firmware.system.clock import Clock
from firmware.system.listeners import Listeners

log = logging.getLogger(__name__)


class SoundWiring:
    """The audio parts, connected. Build it inside the running loop, then `run` it.

    `changes` is notified whenever the microphone's state or the talker changed.
    """

    def __init__(
        self,
        settings: SoundConfig,
        data_dir: Path,
        *,
        clock: Clock,
        source: random.Random,
        card: AudioDevices | None = None,
    ) -> None:
        """`card` stands in for the machine's own."""
        self.settings = settings
        self.changes = Listeners[()]()
        if card is None and settings.card == "system":
            card = PortAudioDevices(clock)
        elif card is None and settings.card == "file":
            card = FileDevices(data_dir, clock)
        heard = None if settings.card == "file" else card  # a file hears nothing
        self.played = played = EchoReference()
        self.echo = echo = Echo(played, _canceller(settings) if heard is not None else None)
        self._chiming: asyncio.Task[None] | None = None
        self.microphone = Microphone(
            heard,
            device=settings.microphone,
            switch=MicrophoneSwitch(
                data_dir / "sound.json", is_on_at_first=settings.is_microphone_on
            ),
            echo=echo,
            source=source,
        )
        self.speaker = Speaker(
            card, device=settings.speaker, clock=clock, source=source, played=played
        )
        self.opus = OpusFeed(HalfDuplex(self.microphone, echo), clock=clock)
        self.opus.allow(settings.is_in_live_view)
        self.speaker.set_volume(settings.volume_percent)
        self.speech = Speech()
        self.digits = DigitsVoice(
            speech=self.speech, speaker=self.speaker, language=settings.language
        )
        self.replies = QuickReplies(
            data_dir / "replies",
            speaker=self.speaker,
            speech=self.speech,
        )
        self.floor = TalkFloor(self.speaker, echo, clock=clock)
        self.microphone.changes.add(self.changes.notify)
        self.floor.changes.add(self.changes.notify)

    def use_settings(self, settings: SoundConfig) -> None:
        """Be heard by viewers, speak and sound by these settings from now on."""
        was_allowed = self.opus.is_allowed
        self.settings = settings
        self.opus.allow(settings.is_in_live_view)
        self.speaker.set_volume(settings.volume_percent)
        self.digits.set_language(settings.language)
        if was_allowed != settings.is_in_live_view:
            self.changes.notify()

    @property
    def has_failed(self) -> bool:
        """Whether microphone or speaker failed when they were last wanted."""
        return self.microphone.has_failed or self.speaker.has_failed

    def chime(self) -> None:
        """Play three notes, if the settings say so: for a press."""
        if self.settings.has_chime and self._chiming is None:
            self._chiming = asyncio.create_task(self._chime(), name="chime sound")

    async def _chime(self) -> None:
        try:
            await self.speaker.say(rising_notes().samples)
        except SoundError as error:
            log.warning("the speaker can't chime: %s", error)
        finally:
            self._chiming = None

    async def play_reply(self, wanted: PlayReply) -> None:
        """Answer a press with a quick reply; SoundError if that fails."""
        default = self.replies.default
        if wanted.reply_id is not None:
            self.replies.start(wanted.reply_id)
        elif default is not None:
            self.replies.start(default.id)
        else:
            raise ReplyRefused("no quick reply is chosen for this; choose one in the app first")

    async def choose_reply(self, reply_id: str) -> None:
        """Play this quick reply if nobody answers; SoundError if there is no such."""
        await self.replies.set_default(reply_id)

    async def run(self) -> None:
        """Keep the devices as they are wanted, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.microphone.run(), name="microphone")
            group.create_task(self.speaker.run(), name="speaker")

    async def aclose(self) -> None:
        """Stop playing."""
        self.digits.stop()
        if self._chiming is not None:
            self._chiming.cancel()
            await asyncio.gather(self._chiming, return_exceptions=True)
        await self.replies.aclose()


def _canceller(settings: SoundConfig) -> MakeCanceller | None:
    try:
        return choose_canceller(settings.echo)
    except SoundMissing as error:
        log.error("no echo is cancelled, so one side speaks at a time: %s", error)
        return None
