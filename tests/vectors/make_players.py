"""Writes the golden vectors of what is pasted for other players (players.json).

    python -m tests.vectors.make_players

tests/js/players.test.mjs and tests/firmware/test_viewer.py hold both sides against them. The keys
are the smallest that there are, so a new run gives the same.
"""

import json
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from firmware.companion.viewer.player_keys import PlayerKeys
from firmware.protocol.encoding import b64u, device_id_of
from firmware.protocol.players import PlayerSetup, code_text, setup_text

PATH = Path(__file__).parent / "players.json"


def main() -> None:
    """Write the file."""
    text = json.dumps(player_vectors(), indent=1, ensure_ascii=False, sort_keys=True)
    PATH.write_text(text + "\n", "utf-8")


def player_vectors() -> dict[str, Any]:
    """One player's code, and the set-up text that it gets for one doorbell."""
    session, identity = (ec.derive_private_key(number, ec.SECP256R1()) for number in (1, 2))
    keys = PlayerKeys("Väggen i hallen 🔔", session, X25519PrivateKey.from_private_bytes(bytes(32)))
    spki = identity.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    setup = PlayerSetup(
        relay="https://relay.test",
        device=device_id_of(spki),
        identity_key=b64u(spki),
        token="t" * 43,
    )
    return {
        "keys": msgspec.to_builtins(keys.public),
        "code": code_text(keys.public),
        "setup": msgspec.to_builtins(setup),
        "setup_text": setup_text(setup),
    }


if __name__ == "__main__":
    main()
