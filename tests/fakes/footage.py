"""Real H.264 without real time: a tiny camera that films as fast as a test asks it to."""

import random
from collections.abc import Sequence

import numpy as np
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from firmware.capture.camera_output import TICKS_PER_S, AccessUnit
from firmware.capture.i420 import Planes
from firmware.capture.x264 import Encoder
from firmware.clips.fragment import ClipUnit

WIDTH, HEIGHT, FPS = 96, 64, 10


class TinyCamera:
    """Makes access units whose pts go on from call to call, a key frame each second."""

    def __init__(self, first_pts_90k: int = 90_000_000) -> None:
        self._encoder = Encoder(WIDTH, HEIGHT, FPS, 200_000)
        self._dice = random.Random(5)
        self._next_pts_90k = first_pts_90k

    def skip(self, seconds: float) -> None:
        """Let time pass without a picture."""
        self._next_pts_90k += round(seconds * TICKS_PER_S)

    def film(self, seconds: float) -> list[AccessUnit]:
        units = []
        for _ in range(round(seconds * FPS)):
            jitter = self._dice.randrange(-90, 90)
            array = np.full((HEIGHT * 3 // 2, WIDTH), self._dice.randrange(40, 200), np.uint8)
            array[:16, :16] = np.frombuffer(self._dice.randbytes(256), np.uint8).reshape(16, 16)
            units += self._encoder.encode(
                Planes(array, WIDTH, HEIGHT),
                self._next_pts_90k + jitter,
            )
            self._next_pts_90k += TICKS_PER_S // FPS
        return units


def clip_units(units: Sequence[AccessUnit]) -> list[ClipUnit]:
    """Return the same as units of a clip that begins with them."""
    first = units[0].pts_90k
    return [ClipUnit(pts_90k=u.pts_90k - first, is_key=u.is_key, data=u.data) for u in units]


class SoftSigner:
    """Implements `firmware.evidence.manifest.Signer` with a fresh key."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.spki = self._key.public_key().public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )

    def sign(self, data: bytes) -> bytes:
        return self._key.sign(data, ec.ECDSA(hashes.SHA256()))
