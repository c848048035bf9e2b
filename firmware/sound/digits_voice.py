"""Speaks the four digits of the check page, again and again, while they are waited for.

A task of its own, so that nothing waits for it. Without sound card or espeak-ng the light flashes
them alone.
"""

import asyncio
import logging
from collections.abc import Mapping

from firmware.sound.errors import SoundError
from firmware.sound.frames import SAMPLE_RATE
from firmware.sound.speaker import Speaker
from firmware.sound.speech import Language, Speech

log = logging.getLogger(__name__)

INTRODUCTIONS: Mapping[Language, str] = {
    "en": "Check page. Type these four digits.",
    "sv": "Kontrollsidan. Skriv de här fyra siffrorna.",
}
TIMES = 3
PAUSE_S = 2.0


class DigitsVoice:
    """The speaker of the digits; all on the loop."""

    def __init__(self, *, speech: Speech, speaker: Speaker, language: Language) -> None:
        self._speech = speech
        self._speaker = speaker
        self._language = language
        self._running: asyncio.Task[None] | None = None

    def set_language(self, language: Language) -> None:
        """Speak this language from the next time on."""
        self._language = language

    def start(self, digits: str) -> None:
        """Speak these digits in the background, instead of earlier ones."""
        self.stop()
        self._running = asyncio.create_task(self._say(digits), name="digits voice")

    def stop(self) -> None:
        """Stop speaking, in the middle of a digit if need be."""
        if self._running is not None:
            self._running.cancel()
            self._running = None

    async def _say(self, digits: str) -> None:
        if not self._speaker.has_device:
            return
        text = f"{INTRODUCTIONS[self._language]} {'. '.join(digits)}."
        try:
            sound = await self._speech.speak(text, self._language)
            pause = bytes(round(PAUSE_S * SAMPLE_RATE) * 2)
            for _ in range(TIMES):
                await self._speaker.say(sound.samples + pause)
        except SoundError as error:
            log.warning("the check page's digits are shown and can't be said: %s", error)
