"""Answers of doorbells to pairing codes, as the relay sees them: it doesn't look at signatures."""

from firmware.protocol.encoding import b64u, sha256_hex
from firmware.protocol.events import PairingAnswered
from firmware.protocol.pairing import PairingAnswer, SignedPairingAnswer
from relay.store import fleet
from tests.relay.http_world import World


async def answered_by(
    world: World, device: str, pairing_id: str, *, nonce: int = 0
) -> PairingAnswered:
    """Return what an enrolled doorbell says that has read a code."""
    async with world.database.read() as tx:
        row = await fleet.get(tx, device)
    assert row is not None
    answer = PairingAnswer(
        pairing_id=pairing_id,
        commitment="ab" * 32,
        identity_key=row.identity_key,
        sealing_key=row.sealing_key,
        nonce=b64u(bytes([nonce]) * 32),
        policy_digest=sha256_hex(b""),
        register_origin="",
        is_recovery=False,
    )
    signed = SignedPairingAnswer(answer=answer.encode().decode(), signature="AAAA")
    return PairingAnswered(pairing_id=pairing_id, signed=signed)
