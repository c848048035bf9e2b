"""Wiring of the check page: while its window is open, the doorbell keeps nothing of what it sees.

    window ─┬─► ring, recorder, event pictures: paused
            ├─► microphone: its level alone
            └─► digits ─► light (it looks), voice, log
    service button ─► window

A press in between rings and is told like any other, without clip and picture.
"""

import asyncio
import logging

from firmware.app.camera import CameraWiring
from firmware.app.clips import ClipWiring
from firmware.app.household import Household
from firmware.app.site import Site
from firmware.enrolment.check_code import CheckCode
from firmware.health.linux import LinuxBoard
from firmware.local_page.check_session import CheckedParts, CheckSession
from firmware.local_page.check_window import CheckWindow
from firmware.notes.event_pictures import EventPictures
from firmware.panel.panel import Panel
from firmware.sound.digits_voice import DigitsVoice
from firmware.sound.sound_system import SoundWiring

log = logging.getLogger(__name__)


class CheckWiring:
    """The check page's window and its session. Build it inside the running loop."""

    def __init__(
        self,
        site: Site,
        *,
        panel: Panel,
        filming: CameraWiring,
        sounding: SoundWiring,
        recording: ClipWiring,
        household: Household,
        pictures: EventPictures,
    ) -> None:
        self._filming = filming
        self._recording = recording
        self._pictures = pictures
        data_dir = site.config.data_dir
        self.window = CheckWindow(
            code=CheckCode(data_dir / "check.json", clock=site.clock),
            owners=household,
            recorder=recording.recorder,
            clock=site.clock,
        )
        self.window.changes.add(self._keep_nothing_while_open)  # before anything is measured
        self.session = CheckSession(
            self.window,
            CheckedParts(
                camera=filming,
                panel=panel,
                microphone=sounding.microphone,
                speaker=sounding.speaker,
                board=LinuxBoard(data_dir),
                card=data_dir,
                clock=site.clock,
            ),
        )
        self._voice = DigitsVoice(
            speech=sounding.speech,
            speaker=sounding.speaker,
            language=sounding.settings.language,
        )
        self._given: str | None = None
        self._noting: set[asyncio.Task[None]] = set()
        self._is_open = False
        self.window.changes.add(self._give_digits)
        panel.service_pressed.add(self._on_service_pressed)

    def _keep_nothing_while_open(self) -> None:
        is_open = self.window.is_open
        if is_open == self._is_open:
            return
        self._is_open = is_open
        self._recording.recorder.pause(is_open)
        self._filming.ring.pause(is_open)
        self._pictures.pause(is_open)
        if self._recording.sound is not None:
            self._recording.sound.forget()
        log.info("the check page's window is %s", "open" if is_open else "closed")

    def _give_digits(self) -> None:
        digits = self.window.digits
        if digits == self._given:
            return
        self._given = digits
        if digits is None:
            self._voice.stop()
            return
        log.warning("check page: type these four digits within five minutes: %s", digits)
        self._voice.start(digits)

    def _on_service_pressed(self) -> None:
        task = asyncio.create_task(self.window.on_service_pressed(), name="check page's button")
        self._noting.add(task)
        task.add_done_callback(self._noting.discard)
