"""Speaks the four words of a pairing at the door, which the doorbell's own page shows.

    the app revealed its keys ─► espeak-ng ─► speaker: what it is, the words, and the words again

They are no secret. They are English words, so an English voice says them in any language. Saying
never holds pairing up: it is a task of its own. It ends as soon as these words aren't to be found
any more: confirmed by the service button, over, or begun anew. Without sound card or espeak-ng the
page shows them alone.
"""

import asyncio
import logging
from collections.abc import Mapping

from firmware.enrolment.pairing import Pairing
from firmware.protocol.pairing import PairingReveal
from firmware.sound.errors import SoundError
from firmware.sound.frames import SAMPLE_RATE
from firmware.sound.speaker import Speaker
from firmware.sound.speech import Language, Speech
from firmware.system.clock import Clock

log = logging.getLogger(__name__)

INTRODUCTIONS: Mapping[Language, str] = {
    "en": "Pairing. In your app, tap these four words, one after the other:",
    "sv": "Dörrklockan paras. Tryck i appen på de här fyra engelska orden, ett i taget:",
}
PAUSE_S = 0.5
PAUSE_BEFORE_AGAIN_S = 1.5
LOOK_EVERY_S = 0.1


class PairingVoice:
    """The speaker of a pairing's words; all on the loop."""

    def __init__(
        self,
        pairing: Pairing,
        *,
        speech: Speech,
        speaker: Speaker,
        clock: Clock,
        language: Language,
    ) -> None:
        self._pairing = pairing
        self._speech = speech
        self._speaker = speaker
        self._clock = clock
        self._language = language
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Speak the words to be compared now, in the background, instead of earlier ones."""
        if self._running is not None:
            self._running.cancel()
        self._running = asyncio.create_task(self._run(), name="pairing voice")

    async def aclose(self) -> None:
        """Stop speaking."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    async def _run(self) -> None:
        now_ms = self._now_ms()
        reveal, words = self._pairing.reveal(now_ms), self._pairing.view(now_ms).words
        if reveal is None:
            return
        saying = asyncio.create_task(self._say(words), name="four words")
        try:
            while not saying.done() and self._are_shown(reveal):
                await asyncio.wait({saying}, timeout=LOOK_EVERY_S)
        finally:
            saying.cancel()
            await asyncio.gather(saying, return_exceptions=True)

    def _are_shown(self, reveal: PairingReveal) -> bool:
        now_ms = self._now_ms()
        is_same = self._pairing.reveal(now_ms) is reveal
        return is_same and self._pairing.view(now_ms).state == "words"

    def set_language(self, language: Language) -> None:
        """Speak this language from the next time on."""
        self._language = language

    async def _say(self, words: tuple[str, ...]) -> None:
        if not self._speaker.has_device:
            log.info("the four words are shown and not said: there is no sound card ([sound] card)")
            return
        try:
            await self._speaker.say(await self._spoken(words))
        except SoundError as error:
            log.warning("the four words are shown and can't be said: %s", error)
        except Exception:  # supervisor: whatever fails here, pairing goes on
            log.exception("saying the four words failed")

    async def _spoken(self, words: tuple[str, ...]) -> bytes:
        introduction = await self._speech.speak(INTRODUCTIONS[self._language], self._language)
        said = (await self._speech.speak(". ".join(words), "en")).samples
        return b"".join(
            (introduction.samples, _silence(PAUSE_S), said, _silence(PAUSE_BEFORE_AGAIN_S), said)
        )

    def _now_ms(self) -> int:
        return self._clock.monotonic_ns() // 1_000_000


def _silence(seconds: float) -> bytes:
    return bytes(round(seconds * SAMPLE_RATE) * 2)
