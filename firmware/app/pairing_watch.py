"""Pairing at the door, put together: what the camera reads, and what the speaker says.

luma ─► pairing code ─► pairing ─► six words ─► speaker
"""

from firmware.app.camera import Filming
from firmware.app.household import Household
from firmware.live.live_view import CodeWatch
from firmware.outbox.publisher import EventPublisher
from firmware.sound.pairing_voice import PairingVoice
from firmware.sound.sound_system import Sounding
from firmware.system.clock import Clock


class PairingWatch:
    """Code reader and voice of one doorbell."""

    def __init__(
        self,
        filming: Filming,
        sounding: Sounding,
        household: Household,
        *,
        clock: Clock,
        events: EventPublisher,
    ) -> None:
        self.voice = PairingVoice(
            household.pairing,
            speech=sounding.speech,
            speaker=sounding.speaker,
            clock=clock,
            language=sounding.settings.language,
        )
        self.codes = CodeWatch(filming.luma.subscribe(), household.pairing, clock, events)
        self.codes.read.add(self.voice.start)
