"""One-time invitations: the only way to get an account."""

from relay.people.secrets import hash_of, new_secret
from relay.store import people
from relay.store.database import Transaction
from relay.store.people import Invitation

INVITATION_LIFE_MS = 7 * 24 * 3600 * 1000


async def invite_owner(tx: Transaction, now_ms: int, *, device: str | None = None) -> str:
    """Return a new invitation for an owner; `device` names the doorbell of a co-owner."""
    return await _invite(tx, Invitation(role="owner", agency=None, device=device), now_ms)


async def invite_officer(
    tx: Transaction, now_ms: int, *, agency: str, email: str | None = None
) -> str:
    """Return a new invitation for an officer of an agency; `email` is whom it is for."""
    invitation = Invitation(role="officer", agency=agency, device=None, email=email)
    return await _invite(tx, invitation, now_ms)


async def invite_admin(tx: Transaction, now_ms: int) -> str:
    """Return a new invitation for an administrator of this relay."""
    return await _invite(tx, Invitation(role="admin", agency=None, device=None), now_ms)


async def _invite(tx: Transaction, invitation: Invitation, now_ms: int) -> str:
    secret = new_secret()
    await people.add_invitation(tx, hash_of(secret), invitation, now_ms + INVITATION_LIFE_MS)
    return secret
