"""An owner's app that pairs with a doorbell's state machine, without relay or camera between."""

import secrets
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from PIL import Image

from firmware.capture.camera_output import LumaFrame
from firmware.companion.owner.terminal_qr import save_qr
from firmware.enrolment.keys import DeviceKeys
from firmware.enrolment.newcomers import Newcomers
from firmware.enrolment.pairing import Pairing
from firmware.protocol.encoding import b64u, new_id
from firmware.protocol.grants import OwnerKeys
from firmware.protocol.pairing import (
    ANSWER_TAG,
    NONCE_BYTES,
    AnsweredPairing,
    PairedKeys,
    PairingAnswer,
    PairingOffer,
    PairingReveal,
    SignedPairingAnswer,
)


@dataclass(frozen=True)
class NoKeys:
    """Keys of a doorbell that reads no code in a test."""

    identity_key: str = ""
    sealing_key: str = ""

    def sign(self, data: bytes) -> bytes:
        """Refuse: there is nothing to sign."""
        raise AssertionError(f"{len(data)} bytes to sign, and no code is read here")


NO_KEYS = NoKeys()


def no_newcomers() -> Newcomers:
    """Return what takes newcomers at a doorbell to which none comes."""
    return Newcomers(keys=NO_KEYS, has_owner=lambda: False)


def meet_by_network(newcomers: Newcomers, keys: PairedKeys, now_ms: int = 0) -> AnsweredPairing:
    """Exchange all three messages of a newcomer's pairing."""
    offer = PairingOffer(keys, pairing_id=new_id(), nonce=secrets.token_bytes(NONCE_BYTES))
    answered = offer.take_answer(newcomers.commit(offer.code, now_ms))
    newcomers.reveal(offer.code.pairing_id, answered.reveal.encode().decode(), now_ms)
    return answered


def forged_answer(keys: DeviceKeys, answer: PairingAnswer) -> SignedPairingAnswer:
    """Return an answer to the same code by other keys, as a side between would give it."""
    text = msgspec.structs.replace(
        answer, identity_key=keys.identity_key, sealing_key=keys.sealing_key
    ).encode()
    signature = b64u(keys.sign(ANSWER_TAG + text))
    return SignedPairingAnswer(answer=text.decode(), signature=signature)


def read_code(bell: Pairing, text: str, now_ms: int) -> SignedPairingAnswer | None:
    """Hold a text before the camera; return the doorbell's answer, signed and kept."""
    answer = bell.read_code(text, now_ms)
    if answer is None:
        return None
    signed = bell.sign(answer)
    assert bell.keep(signed, now_ms)
    return signed


def code_picture(text: str, path: Path) -> LumaFrame:
    """Return what a camera sees of a code; `path` is where its picture may be written."""
    save_qr(text, path)
    image = Image.open(path).convert("L")
    size = {"width": image.width, "height": image.height, "stride": image.width}
    return LumaFrame(**size, data=image.tobytes(), pts_90k=0)


@dataclass
class PairingApp:
    """One code of an app, and what came of it."""

    owner: OwnerKeys
    pairing_id: str = field(default_factory=new_id)
    nonce: bytes = field(default_factory=lambda: secrets.token_bytes(NONCE_BYTES))
    offer: PairingOffer = field(init=False)
    answered: AnsweredPairing | None = None

    def __post_init__(self) -> None:
        self.offer = PairingOffer(self.owner, pairing_id=self.pairing_id, nonce=self.nonce)

    def renew(self) -> "PairingApp":
        """Show a new code for the same keys: each is good for one answer."""
        self.pairing_id, self.nonce = new_id(), secrets.token_bytes(NONCE_BYTES)
        self.answered = None
        self.__post_init__()
        return self

    @property
    def reveal(self) -> PairingReveal:
        """What the code commits to; the app itself lets it out only after an answer."""
        return PairingReveal(pairing_id=self.pairing_id, owner=self.owner, nonce=b64u(self.nonce))

    def show(self, bell: Pairing, now_ms: int) -> SignedPairingAnswer | None:
        """Hold the code before the camera."""
        return read_code(bell, self.offer.code.text, now_ms)

    def meet(self, bell: Pairing, now_ms: int) -> AnsweredPairing:
        """Exchange all three messages."""
        signed = self.show(bell, now_ms)
        assert signed is not None
        self.answered = self.offer.take_answer(signed)
        text = self.answered.reveal.encode().decode()
        assert bell.take_reveal(self.pairing_id, text, now_ms) is None
        return self.answered
