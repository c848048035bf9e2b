"""Wiring of the codes that the camera reads once the service button was held.

    service button ─► Wi-Fi window ─► pictures withheld from all but the code reader
    luma ─► code reader ─┬─► pairing ─► four words ─► speaker
                         └─► Wi-Fi window ─► trial ─► helper (root) ─► kept or returned
                                                       └─► note to owners, speaker, local page

Only wiring belongs here, and that owners are told of each outcome.
"""

import asyncio
import logging
import os
from typing import Literal

from firmware.app.camera import CameraWiring
from firmware.app.household import Household
from firmware.app.site import Site
from firmware.errors import DoorwardError
from firmware.live.live_view import CodeScanner
from firmware.outbox.publisher import EventPublisher
from firmware.panel.panel import Panel
from firmware.panel.service_button_use import ServiceButtonUse
from firmware.protocol.encoding import as_line
from firmware.protocol.notes import WifiTried
from firmware.sound.pairing_voice import PairingVoice
from firmware.sound.sound_system import SoundWiring
from firmware.sound.speech import Language
from firmware.sound.wifi_voice import WifiVoice
from firmware.system.supervision import Part
from firmware.wifi.kept_network import KeptNetwork
from firmware.wifi.network_service import NetworkService
from firmware.wifi.relay_probe import RelayProbe
from firmware.wifi.trial import TrialOutcome, WifiTrial
from firmware.wifi.window import WifiWindow

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.25


class CodeWatch:
    """Code reader, Wi-Fi and voices of one doorbell. Build it inside the running loop."""

    def __init__(
        self,
        site: Site,
        *,
        panel: Panel,
        filming: CameraWiring,
        sounding: SoundWiring,
        household: Household,
        events: EventPublisher,
    ) -> None:
        self._clock = site.clock
        self._filming = filming
        self._household = household
        self._is_opened = asyncio.Event()
        kept = KeptNetwork(site.config.data_dir)
        self.window = WifiWindow(
            device=site.keys.device,
            sealing_private_key=site.keys.sealing_private_key,
            owners=household.owners,
            used=kept,
        )
        self.trial = WifiTrial(
            networks=NetworkService(os.environ, clock=site.clock),
            probe=RelayProbe(
                host=site.enrolment.broker_host,
                port=site.enrolment.broker_port,
                ca_file=site.config.data_dir / "ca.pem",
            ),
            kept=kept,
            clock=site.clock,
        )
        self.button = ServiceButtonUse(
            panel,
            pairing=household.pairing,
            wifi=self.window,
            owners=household,
            clock=site.clock,
        )
        self._codes = CodeScanner(
            filming.luma, household.pairing, self.window, clock=site.clock, events=events
        )
        self._voice = WifiVoice(
            speech=sounding.speech, speaker=sounding.speaker, language=sounding.settings.language
        )
        self._pairing_voice = PairingVoice(
            household.pairing,
            speech=sounding.speech,
            speaker=sounding.speaker,
            clock=site.clock,
            language=sounding.settings.language,
        )
        household.pairing_messages.revealed.add(self._pairing_voice.start)
        self._telling: set[asyncio.Task[None]] = set()
        self.window.opened.add(self._on_opened)
        self.window.offered.add(self._voice.offer)
        self.window.wanted.add(self.trial.want)
        self.trial.ended.add(self._on_ended)

    def use_language(self, language: Language) -> None:
        """Speak this language from the next time on."""
        self._voice.set_language(language)
        self._pairing_voice.set_language(language)

    @property
    def parts(self) -> dict[str, Part]:
        """The parts that run as long as the doorbell does."""
        return {
            "codes": self._codes.run,
            "wifi trial": self.trial.run,
            "wifi window": self.watch_window,
        }

    @property
    def stage(self) -> Literal["none", "open", "offered", "joining"]:
        """What the light shows of it."""
        match self.window.view(self._now_ms()).state:
            case "closed":
                return "none"
            case state:
                return state

    async def watch_window(self) -> None:
        """Give the pictures back once the window is over, whether the camera sees a code or not."""
        while True:
            if self._filming.is_withheld and not self.window.is_withholding(self._now_ms()):
                self._filming.show_again()
            if self._filming.is_withheld:
                await asyncio.sleep(LOOK_EVERY_S)
            else:
                self._is_opened.clear()
                await self._is_opened.wait()

    async def aclose(self) -> None:
        """Say nothing more; finish what owners are being told."""
        await self._pairing_voice.aclose()
        await self._voice.aclose()
        await asyncio.gather(*self._telling, return_exceptions=True)

    def _on_opened(self) -> None:
        self._filming.withhold()
        self._is_opened.set()

    def _on_ended(self, outcome: TrialOutcome) -> None:
        self.window.end_trial()
        self._voice.speak_outcome(outcome.name, is_kept=outcome.is_kept)
        if self._household.has_owner():
            task = asyncio.create_task(self._tell(outcome), name="note of wifi")
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)

    async def _tell(self, outcome: TrialOutcome) -> None:
        body = WifiTried(
            name=as_line(outcome.name, otherwise="?"),
            reason=outcome.reason,
            at_ms=self._clock.wall_ms(),
        )
        try:
            await self._household.notes.to_all(body)
        except DoorwardError as error:
            log.error("owners can't be told of the Wi-Fi network: %s", error)

    def _now_ms(self) -> int:
        return self._clock.monotonic_ns() // 1_000_000
