"""The relay's invitation as the flasher takes it: a file, its link, or standard input (`-`)."""

import sys
from pathlib import Path

from firmware.protocol.claims import MAX_LINK_BYTES, Invitation, read_invitation
from firmware.protocol.encoding import WireError
from provisioning.errors import WishRefused
from provisioning.wifi import Network, network_of

LINKS = ("https://", "http://")


def invitation_of(given: str, *, relay: str | None, now_ms: int) -> Invitation:
    """Read an invitation; raise WishRefused for a spent one, or another relay's than `relay`."""
    if given.startswith(LINKS):
        data, name = given.encode(errors="replace"), "the link"
    elif given == "-":
        data, name = sys.stdin.buffer.read(MAX_LINK_BYTES + 1), "standard input"
    else:
        data, name = _read(Path(given)), given
    try:
        invitation = read_invitation(data)
    except WireError as error:
        raise WishRefused(f"{name} is no invitation of a relay's: {error}") from error
    claim = invitation.claim
    if relay is not None and claim.relay_url.rstrip("/") != relay.rstrip("/"):
        raise WishRefused(
            f"{name} is an invitation to {claim.relay_url}, not to {relay}; ask your own relay's "
            "operator for one"
        )
    if claim.expires_ms <= now_ms:
        raise WishRefused(
            f"{name} has ended; ask the relay's operator for another (or set this machine's clock)"
        )
    return invitation


def invited_network(invitation: Invitation) -> Network | None:
    """Return the invitation's Wi-Fi network, checked; raise WifiRefused."""
    network = invitation.network
    if network is None:
        return None
    return network_of(
        network.ssid,
        network.key,
        country=network.country,
        security=network.security,
        is_hidden=network.is_hidden,
    )


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_LINK_BYTES + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise WishRefused(f"the invitation {path} can't be read: {why}") from error
