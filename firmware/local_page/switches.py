"""Switches of microphone, knock and identity, which are set at the doorbell's own page only."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from firmware.config.settings import SoundConfig
from firmware.enrolment.new_identity import NewIdentity
from firmware.errors import EnrolmentError
from firmware.knock.errors import PatternWeak
from firmware.knock.pattern_store import KnockSettings, KnockStore
from firmware.knock.service import KnockService
from firmware.local_page.ports import IdentityView, KnockView, MicrophoneView, Outcome
from firmware.panel.pattern import PressKind
from firmware.sound.errors import NoAudioDevice
from firmware.sound.microphone import Microphone

log = logging.getLogger(__name__)


class SoundInForce(Protocol):
    """The settings of sound that count now (`firmware.sound.sound_system.SoundWiring`)."""

    settings: SoundConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class MicrophoneControl:
    """Switch of the microphone, and the list of who hears it."""

    microphone: Microphone
    sound: SoundInForce

    def view(self) -> MicrophoneView:
        """Return how it is."""
        return MicrophoneView(
            state=self.microphone.state,
            has_card=self.microphone.has_device,
            is_on=self.microphone.is_on,
            trouble=self.microphone.trouble,
            is_in_live_view=self.sound.settings.is_in_live_view,
            is_in_clips=self.sound.settings.is_in_clips,
        )

    async def switch(self, *, is_on: bool) -> Outcome:
        """Switch it. Off counts at once; what the card doesn't take is said."""
        try:
            await self.microphone.switch(is_on)
        except NoAudioDevice as error:
            return Outcome(is_done=False, detail=str(error))
        except OSError as error:
            log.error("the microphone's switch can't be kept: %s", error)
            kept = "it stays off" if is_on else "it is off now, but perhaps not after a restart"
            return Outcome(is_done=False, detail=f"The memory card doesn't take it; {kept}.")
        return Outcome(is_done=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityControl:
    """Choice of a new identity, for a doorbell whose card was copied."""

    identity: NewIdentity
    relay_url: str

    def view(self) -> IdentityView:
        """Return whether it may be chosen."""
        return IdentityView(is_cloned=self.identity.is_wanted, relay_url=self.relay_url)

    async def take(self, link: str) -> Outcome:
        """Get the new identity. The doorbell then ends, and begins anew."""
        try:
            await self.identity.take(link)
        except EnrolmentError as error:
            return Outcome(is_done=False, detail=str(error))
        except OSError as error:
            log.error("a new identity can't be kept: %s", error)
            return Outcome(is_done=False, detail="The memory card doesn't take it.")
        return Outcome(is_done=True)


class SoundCard(Protocol):
    """The output that says a knock aloud: `firmware.sound.speaker.Speaker`."""

    @property
    def has_device(self) -> bool:
        """Whether there is one."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class KnockControl:
    """Choice of the knock's pattern, and the outcome of the last knock."""

    store: KnockStore
    speaker: SoundCard
    desk: KnockService

    def view(self) -> KnockView:
        """Return how it is."""
        last = self.desk.last
        return KnockView(
            is_on=self.store.settings.is_on,
            has_speaker=self.speaker.has_device,
            tries_left=self.store.tries_left,
            locked_for_s=self.store.locked_for_s,
            last=None if last is None else last.end,
            last_ms=None if last is None else last.at_ms,
        )

    async def choose(self, presses: Sequence[PressKind]) -> Outcome:
        """Let this pattern count, none: no knock any more. A session under way ends by it."""
        settings = KnockSettings(is_on=True, pattern=tuple(presses)) if presses else KnockSettings()
        try:
            await asyncio.to_thread(self.store.choose, settings)
        except PatternWeak as error:
            return Outcome(is_done=False, detail=str(error))
        except OSError as error:
            log.error("the knock's pattern can't be kept: %s", error)
            return Outcome(is_done=False, detail="The memory card doesn't take it.")
        return Outcome(is_done=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """All that is switched at the doorbell's own page."""

    knock: KnockControl
    microphone: MicrophoneControl
    identity: IdentityControl
