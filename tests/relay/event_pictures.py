"""Sealed pictures of events as doorbells tell them."""

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from firmware.protocol.browsers import BrowserKeys
from firmware.protocol.encoding import b64u, new_id, sha256_hex
from firmware.protocol.events import Event, Thumbnail
from firmware.protocol.thumbnails import (
    FACTS_TAG,
    PictureFacts,
    SealedThumbnail,
    SignedFacts,
    seal_thumbnail,
)
from relay.ingest.carried_events import NoCustody
from tests.relay.carrying import carry
from tests.relay.http_world import World

JPEG = b"\xff\xd8 not much of a picture"
IDENTITY = ec.generate_private_key(ec.SECP256R1())
IDENTITY_SPKI = IDENTITY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
FACTS = PictureFacts(
    device="a" * 20, event_id="b" * 26, taken_ms=1, age_ms=0, jpeg_sha256=sha256_hex(JPEG)
)


def sealed_for(*browsers: BrowserKeys) -> SealedThumbnail:
    """Seal a picture as a doorbell does."""
    facts = FACTS.encode()
    signature = IDENTITY.sign(FACTS_TAG + facts, ec.ECDSA(hashes.SHA256()))
    return seal_thumbnail(
        JPEG, SignedFacts(facts=facts.decode(), signature=b64u(signature)), browsers
    )


async def picture_of(world: World, device: str, event_id: str, sealed: SealedThumbnail) -> None:
    """Take in a thumbnail as ingest does."""
    world.seq[device] = world.seq.get(device, 0) + 1
    event = Event(
        id=new_id(),
        device=device,
        seq=world.seq[device],
        time_ms=world.clock.wall_ms(),
        is_clock_trusted=True,
        body=Thumbnail(for_event_id=event_id, sealed=sealed),
    )
    async with world.database.begin() as tx:
        done = await carry(tx, event, received_ms=world.clock.wall_ms(), custody=NoCustody())
    if done.thumbnail_of is not None:
        world.hub.thumbnail_kept(device, done.thumbnail_of)
