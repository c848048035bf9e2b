"""The doorbell's signed answer to an offer, bound to both DTLS certificates, valid for a minute.

The identity key signs what both SDPs name, so that whoever carries them can be neither side. A
signature that can't be made is a refusal.
"""

import asyncio
import logging
from typing import Protocol

from firmware.live.errors import LiveError
from firmware.protocol.encoding import WireError, b64u
from firmware.protocol.live import LiveAnswer, LiveOffer, SignedLive, fingerprints_of
from firmware.system.clock import Clock

logger = logging.getLogger(__name__)

ANSWER_LIFE_MS = 60_000


class Signer(Protocol):
    """The doorbell's identity key."""

    def sign(self, data: bytes) -> bytes:
        """Return an ECDSA P-256 signature with SHA-256, in DER. May take a while."""
        ...


class AnswerSigner:
    """Signs answers with the doorbell's identity key, off the loop: a secure element is slow."""

    def __init__(self, signer: Signer, *, device: str, clock: Clock) -> None:
        self._signer = signer
        self._device = device
        self._clock = clock

    async def signed(self, offer: LiveOffer, sdp: str, *, lasts_s: float) -> SignedLive:
        """Return the signed answer to exactly this offer, or raise LiveError."""
        try:
            text = LiveAnswer(
                device=self._device,
                session_id=offer.session_id,
                nonce=offer.nonce,
                offer_digest=offer.digest(),
                offer_fingerprints=fingerprints_of(offer.sdp),
                answer_fingerprints=fingerprints_of(sdp),
                expires_ms=self._clock.wall_ms() + ANSWER_LIFE_MS,
                lasts_s=max(1, round(lasts_s)),
                sdp=sdp,
            ).encode()
        except WireError as error:
            raise LiveError("bad_offer", str(error)) from error
        try:
            signature = await asyncio.to_thread(self._signer.sign, LiveAnswer.tag + text)
        except Exception as error:  # files, tokens, secure elements: all fail anew
            logger.exception("the SDP answer can't be signed")
            detail = "the doorbell can't sign its answer now; look at its own page"
            raise LiveError("closed", detail) from error
        return SignedLive(text=text.decode(), signature=b64u(signature))
