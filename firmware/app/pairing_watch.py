"""Wiring of pairing at the door: the camera's code reader, and the speaker.

luma ─► pairing code ─► pairing ─► four words ─► speaker
"""

from firmware.app.camera import CameraWiring
from firmware.app.household import Household
from firmware.live.live_view import PairingCodeScanner
from firmware.outbox.publisher import EventPublisher
from firmware.sound.pairing_voice import PairingVoice
from firmware.sound.sound_system import SoundWiring
from firmware.system.clock import Clock


class PairingWatch:
    """Code reader and voice of one doorbell."""

    def __init__(
        self,
        filming: CameraWiring,
        sounding: SoundWiring,
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
        self.codes = PairingCodeScanner(filming.luma, household.pairing, clock, events)
        household.pairing_messages.revealed.add(self.voice.start)
