"""Writes invitations.json: invitations of doorbells, each as its file and as its link.

python tests/vectors/make_invitations.py
"""

import json
from pathlib import Path

from firmware.protocol.claims import Claim, Invitation, InvitedNetwork
from firmware.protocol.encoding import b64u

HERE = Path(__file__).parent
CLAIM = Claim(
    relay_url="https://relay.example",
    secret=b64u(bytes(range(32))),
    ca_sha256="0123456789abcdef" * 4,
    expires_ms=1_900_000_000_000,
)
INVITATIONS = {
    "from a relay without logs": Invitation(claim=CLAIM),
    "with all of it": Invitation(
        claim=CLAIM,
        policy="log example.town/register+01234567+AQ\nquorum none\n",
        network=InvitedNetwork(
            ssid="Hemma på Öland 😀", key="0f" * 32, security="wpa2", country="SE", is_hidden=True
        ),
        name="front-door",
        ssh_key="ssh-ed25519 AAAA somebody@example",
    ),
}


def main() -> None:
    """Write the file."""
    vectors = [
        {"name": name, "file": one.encode().decode(), "link": one.link}
        for name, one in INVITATIONS.items()
    ]
    text = json.dumps(vectors, indent=1, ensure_ascii=False, sort_keys=True)
    (HERE / "invitations.json").write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
