"""The check page's window and session, joined with what they hold still while it is open.

    window ─┬─► camera, recorder, microphone: nothing is kept
            └─► digits ─► light (it looks), voice, log
    service button ─► window

A press in between rings and is told like any other, without clip and picture.
"""

import asyncio
import logging
from dataclasses import dataclass
from typing import Protocol

from firmware.enrolment.check_code import CheckCode
from firmware.local_page.check_session import (
    CheckedCamera,
    CheckedParts,
    CheckSession,
)
from firmware.local_page.check_window import CheckWindow, RecordingState
from firmware.sound.clip_sound import ClipSound
from firmware.sound.digits_voice import DigitsVoice
from firmware.system.listeners import Listeners
from firmware.system.ownership import Ownership

log = logging.getLogger(__name__)


class KeepingCamera(CheckedCamera, Protocol):
    """The camera with what is kept of it (`firmware.app.camera.CameraWiring`)."""

    def keep_nothing(self, is_so: bool) -> None:
        """Keep no picture from now on, or again."""
        ...


class PausedRecorder(RecordingState, Protocol):
    """The recorder (`firmware.clips.recorder.Recorder`)."""

    def pause(self, is_paused: bool) -> None:
        """Let no trigger begin a clip from now on, or again."""
        ...


class ServiceButton(Protocol):
    """The service button's meaning (`firmware.panel.service_button_use.ServiceButtonUse`)."""

    other_presses: Listeners[()]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckSurroundings:
    """Who owns the doorbell, and what keeps and says something in it."""

    code: CheckCode
    owners: Ownership
    camera: KeepingCamera
    button: ServiceButton
    recorder: PausedRecorder
    clip_sound: ClipSound | None
    voice: DigitsVoice


class CheckService:
    """Window and session of one doorbell. Build it inside the running loop; `run` the window."""

    def __init__(self, around: CheckSurroundings, parts: CheckedParts) -> None:
        self._around = around
        self._given: str | None = None
        self._is_open = False
        self._noting: set[asyncio.Task[None]] = set()
        self.window = CheckWindow(
            code=around.code, owners=around.owners, recorder=around.recorder, clock=parts.clock
        )
        self.window.changes.add(self._keep_nothing_while_open)  # before anything is measured
        self.session = CheckSession(self.window, parts)
        self.window.changes.add(self._give_digits)
        around.button.other_presses.add(self._on_service_pressed)

    def _keep_nothing_while_open(self) -> None:
        is_open, around = self.window.is_open, self._around
        if is_open == self._is_open:
            return
        self._is_open = is_open
        around.recorder.pause(is_open)
        around.camera.keep_nothing(is_open)
        if around.clip_sound is not None:
            around.clip_sound.forget()
        log.info("the check page's window is %s", "open" if is_open else "closed")

    def _give_digits(self) -> None:
        digits = self.window.digits
        if digits == self._given:
            return
        self._given = digits
        if digits is None:
            self._around.voice.stop()
            return
        log.warning("check page: type these four digits within five minutes: %s", digits)
        self._around.voice.start(digits)

    def _on_service_pressed(self) -> None:
        task = asyncio.create_task(self.window.on_service_pressed(), name="check page's button")
        self._noting.add(task)
        task.add_done_callback(self._noting.discard)
