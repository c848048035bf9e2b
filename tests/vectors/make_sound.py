"""Writes sound.json: a clip with sound in every form, for the browser's code and the agency's.

    python -m tests.vectors.make_sound

Read by tests/js/protocol.test.mjs and tests/relay/test_agency_sound.py.
"""

import json
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from firmware.clips.fragment import SoundUnit
from firmware.clips.mp4 import fragmented_mp4, plain_mp4
from firmware.protocol import footage
from firmware.protocol.encoding import b64u
from firmware.sound.aac import ClipEncoder
from tests.fakes.footage import HEIGHT, WIDTH, TinyCamera, clip_units
from tests.fakes.heard import tone

AN_ID = "a" * 26
SECONDS = 2


def main() -> None:
    """Film and listen for a moment, sign it, write it down."""
    key = ec.generate_private_key(ec.SECP256R1())
    units, sound = clip_units(TinyCamera().film(SECONDS)), units_of_sound()
    gops, heard = footage.GopHasher(), footage.SoundHasher()
    for unit in units:
        gops.add(unit.pts_90k, unit.is_key, unit.nal_units)
    for part in sound:
        heard.add(part.pts_90k, part.data)
    manifest = manifest_of(gops.finish(), heard.finish(lost_90k=0)).encode()
    signature = key.sign(footage.MANIFEST_TAG + manifest, ec.ECDSA(hashes.SHA256()))
    size = {"width": WIDTH, "height": HEIGHT}
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    vectors = {
        "identity_key": b64u(spki),
        "signed": {"manifest": manifest.decode(), "signature": b64u(signature)},
        "plain_mp4": b64u(plain_mp4(units, sound, **size)),
        "fragmented_mp4": b64u(fragmented_mp4(units, sound, **size)),
        "without_sound": b64u(plain_mp4(units, **size)),
    }
    path = Path(__file__).with_name("sound.json")
    path.write_text(json.dumps(vectors, indent=1) + "\n", "utf-8")


def units_of_sound(seconds: float = SECONDS) -> list[SoundUnit]:
    """Encode a tone as the doorbell does."""
    encoder = ClipEncoder(90_000_000)
    data = [unit for frame in tone(90_000_000, seconds) for unit in encoder.add(frame)]
    data += encoder.finish()
    step = footage.SOUND_UNIT_90K
    return [SoundUnit(pts_90k=(n - 1) * step, data=unit) for n, unit in enumerate(data)]


def manifest_of(gops: list[footage.Gop], sound: footage.SoundTrack | None) -> footage.ClipManifest:
    """Describe it."""
    assert sound is not None
    return footage.ClipManifest(
        clip_id=AN_ID,
        device="c" * 20,
        boot_id="b" * 26,
        counter=1,
        started_ms=1_790_000_000_000,
        is_clock_trusted=True,
        duration_90k=SECONDS * 90_000,
        width=WIDTH,
        height=HEIGHT,
        pre_roll_90k=0,
        ended="complete",
        lost_units=0,
        mask_digest=footage.NO_MASK_DIGEST,
        triggers=[footage.ClipTrigger(event_id=AN_ID, kind="pressed", at_90k=9000)],
        gops=gops,
        video_root=footage.merkle_root(gop.leaf for gop in gops),
        sound=sound,
    )


if __name__ == "__main__":
    main()
