"""Says at the door which Wi-Fi network was read, and how joining it ended.

A network's name is said in the doorbell's language, as well as espeak-ng can. Saying holds nothing
up: it is a task of its own. Without sound card or espeak-ng the local page and the light show it.
"""

import asyncio
import logging
from collections.abc import Mapping

from firmware.protocol.wifi import WifiNetwork
from firmware.sound.errors import SoundError
from firmware.sound.speaker import Speaker
from firmware.sound.speech import Language, Speech

log = logging.getLogger(__name__)

OFFERS: Mapping[Language, str] = {
    "en": "Wi-Fi network: {name}. To join it, press the service button once.",
    "sv": "Trådlöst nät: {name}. Tryck en gång på serviceknappen för att ansluta.",
}
KEPT: Mapping[Language, str] = {
    "en": "The doorbell is in the Wi-Fi network {name} now.",
    "sv": "Dörrklockan är nu i det trådlösa nätet {name}.",
}
NOT_KEPT: Mapping[Language, str] = {
    "en": "The Wi-Fi network {name} doesn't work. The one before is back.",
    "sv": "Det trådlösa nätet {name} fungerar inte. Det tidigare används igen.",
}


class WifiVoice:
    """The speaker of networks' names; all on the loop."""

    def __init__(self, *, speech: Speech, speaker: Speaker, language: Language) -> None:
        self._speech = speech
        self._speaker = speaker
        self._language: Language = language
        self._running: asyncio.Task[None] | None = None

    def set_language(self, language: Language) -> None:
        """Speak this language from the next time on."""
        self._language = language

    def offer(self, network: WifiNetwork) -> None:
        """Say which network a second press would join."""
        self._start(OFFERS[self._language].format(name=network.name))

    def speak_outcome(self, name: str, *, is_kept: bool) -> None:
        """Say how joining a network ended."""
        self._start((KEPT if is_kept else NOT_KEPT)[self._language].format(name=name))

    async def aclose(self) -> None:
        """Stop speaking."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    def _start(self, text: str) -> None:
        if self._running is not None:
            self._running.cancel()
        self._running = asyncio.create_task(self._say(text), name="wifi voice")

    async def _say(self, text: str) -> None:
        if not self._speaker.has_device:
            return
        try:
            await self._speaker.say((await self._speech.speak(text, self._language)).samples)
        except SoundError as error:
            log.warning("a network's name is shown and can't be said: %s", error)
        except Exception:  # supervisor: whatever fails here, joining goes on
            log.exception("saying a network's name failed")
