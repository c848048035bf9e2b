"""Sealing an evidence package, against one pass of its cipher over the same bytes."""

import random

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from firmware.protocol.encoding import b64u, new_id
from tests.bench.measuring import Result, Size, in_turns, timed
from tests.fakes.sealed_package import seal_package

DEVICE = "abcdefghijklmnop2345"
REPEATS = 3


def measure(size: Size) -> Result:
    """Seal one file of `size.package_bytes` for one agency."""
    clip = random.Random(7).randbytes(size.package_bytes)
    recipient = b64u(X25519PrivateKey.generate().public_key().public_bytes_raw())
    cipher = AESGCM(AESGCM.generate_key(bit_length=256))

    def seal() -> bytes:
        return seal_package(
            package_id=new_id(),
            device=DEVICE,
            agency="lakeland",
            grant_digest="ab" * 32,
            recipients=[recipient],
            files={"clip-1.mp4": clip},
        )

    own, peer = in_turns(
        size.runs,
        lambda: timed(seal, REPEATS),
        lambda: timed(lambda: cipher.encrypt(bytes(12), clip, None), REPEATS),
    )
    return Result(
        id="seal",
        what=f"seal a package of {size.package_bytes / 1e6:g} MB: SHA-256, HPKE, 64 KiB chunks",
        unit="ms",
        peer="one AES-256-GCM pass over the same bytes (cryptography)",
        own_runs=own,
        peer_runs=peer,
    )
