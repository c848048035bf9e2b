"""Tables of people: accounts, passkeys, invitations and ceremonies.

Secrets come in as SHA-256 only. What an invitation allows is decided in relay.people; here is only
what is stored.
"""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Row, delete, insert, select, update

from relay.store.database import Transaction, change_audience
from relay.store.schema import accounts, ceremonies, credentials, invitations


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One person; `role` is owner, officer or admin, and an officer has an agency."""

    id: str
    role: str
    agency: str | None
    name: str
    suspended_ms: int | None = None
    """Since when they may no longer sign in."""
    suspended_by: str | None = None
    """Who did that: the relay's "operator", or their own "agency"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """One passkey of an account; `public_key` is SubjectPublicKeyInfo in base64url."""

    credential_id: str
    account_id: str
    public_key: str
    rp_id: str
    origin: str
    aaguid: str
    sign_count: int
    is_demo: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """A valid one-time invitation; `email` is its recipient's."""

    role: str
    agency: str | None
    device: str | None
    email: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceremony:
    """The first half of a registration or login."""

    challenge: bytes
    data: str


async def add_account(tx: Transaction, account: Account, now_ms: int) -> None:
    """Store a new account."""
    await tx.execute(
        insert(accounts).values(
            id=account.id,
            role=account.role,
            agency=account.agency,
            name=account.name,
            created_ms=now_ms,
        )
    )


async def find_account(tx: Transaction, account_id: str) -> Account | None:
    """Return one account."""
    row = (await tx.execute(select(accounts).where(accounts.c.id == account_id))).first()
    return None if row is None else _account(row)


async def add_credential(tx: Transaction, credential: Credential) -> None:
    """Store a new passkey."""
    change_audience(tx, credential.account_id)
    await tx.execute(
        insert(credentials).values(
            credential_id=credential.credential_id,
            account_id=credential.account_id,
            public_key=credential.public_key,
            rp_id=credential.rp_id,
            origin=credential.origin,
            aaguid=credential.aaguid,
            sign_count=credential.sign_count,
            is_demo=credential.is_demo,
        )
    )


async def find_credential(tx: Transaction, credential_id: str) -> Credential | None:
    """Return one passkey by its credential id."""
    query = select(credentials).where(credentials.c.credential_id == credential_id)
    row = (await tx.execute(query)).first()
    return None if row is None else _credential(row)


async def unknown_credentials(tx: Transaction, credential_ids: Collection[str]) -> set[str]:
    """Return those passkeys that no account has, or has any more.

    The others aren't deleted before the end of the transaction, which must be a writing one.
    """
    query = (
        select(credentials.c.credential_id)
        .where(credentials.c.credential_id.in_(sorted(credential_ids)))
        .order_by(credentials.c.credential_id)
        .with_for_update(read=True, key_share=True)
    )
    return set(credential_ids) - set((await tx.execute(query)).scalars())


async def list_credentials(tx: Transaction, account_id: str) -> list[Credential]:
    """Return all passkeys of an account."""
    query = select(credentials).where(credentials.c.account_id == account_id)
    return [_credential(row) for row in await tx.execute(query)]


async def list_officers(tx: Transaction, agency: str) -> list[tuple[Account, Credential]]:
    """Return an agency's officers who have a passkey, with their first one, oldest first."""
    query = (
        select(accounts)
        .where(accounts.c.role == "officer", accounts.c.agency == agency)
        .order_by(accounts.c.created_ms, accounts.c.id)
    )
    found: list[tuple[Account, Credential]] = []
    for row in (await tx.execute(query)).all():
        passkeys = await list_credentials(tx, row.id)
        if passkeys:
            found.append((_account(row), passkeys[0]))
    return found


async def list_staff(tx: Transaction, agency: str, *, limit: int, offset: int) -> list[Account]:
    """Return some of an agency's officers, with and without a passkey, by name."""
    query = (
        select(accounts)
        .where(accounts.c.role == "officer", accounts.c.agency == agency)
        .order_by(accounts.c.name, accounts.c.id)
        .limit(limit)
        .offset(offset)
    )
    return [_account(row) for row in (await tx.execute(query)).all()]


async def set_sign_count(tx: Transaction, credential_id: str, sign_count: int) -> None:
    """Store the authenticator's counter."""
    await tx.execute(
        update(credentials)
        .where(credentials.c.credential_id == credential_id)
        .values(sign_count=sign_count)
    )


async def add_invitation(
    tx: Transaction, secret_hash: str, invitation: Invitation, expires_ms: int
) -> None:
    """Store a new invitation."""
    await tx.execute(
        insert(invitations).values(
            secret_hash=secret_hash,
            role=invitation.role,
            agency=invitation.agency,
            device=invitation.device,
            email=invitation.email,
            expires_ms=expires_ms,
        )
    )


async def find_invitation(tx: Transaction, secret_hash: str, now_ms: int) -> Invitation | None:
    """Return an invitation that is neither used nor over."""
    row = (
        await tx.execute(
            select(invitations).where(
                invitations.c.secret_hash == secret_hash,
                invitations.c.used_ms.is_(None),
                invitations.c.expires_ms > now_ms,
            )
        )
    ).first()
    if row is None:
        return None
    return Invitation(role=row.role, agency=row.agency, device=row.device, email=row.email)


async def use_invitation(tx: Transaction, secret_hash: str, now_ms: int) -> bool:
    """Mark an invitation as used; False if it was used before, or has expired."""
    result = await tx.execute(
        update(invitations)
        .where(
            invitations.c.secret_hash == secret_hash,
            invitations.c.used_ms.is_(None),
            invitations.c.expires_ms > now_ms,
        )
        .values(used_ms=now_ms)
    )
    return result.rowcount == 1


async def add_ceremony(
    tx: Transaction,
    ceremony_id: str,
    *,
    purpose: str,
    ceremony: Ceremony,
    now_ms: int,
    expires_ms: int,
) -> None:
    """Store a started ceremony, and delete expired ones."""
    await tx.execute(delete(ceremonies).where(ceremonies.c.expires_ms <= now_ms))
    await tx.execute(
        insert(ceremonies).values(
            id=ceremony_id,
            challenge=ceremony.challenge,
            purpose=purpose,
            data=ceremony.data,
            expires_ms=expires_ms,
        )
    )


async def find_ceremony(
    tx: Transaction, ceremony_id: str, *, purpose: str, now_ms: int
) -> Ceremony | None:
    """Return a ceremony that hasn't expired, without using it up."""
    query = select(ceremonies).where(
        ceremonies.c.id == ceremony_id,
        ceremonies.c.purpose == purpose,
        ceremonies.c.expires_ms > now_ms,
    )
    row = (await tx.execute(query)).first()
    return None if row is None else Ceremony(challenge=row.challenge, data=row.data)


async def take_ceremony(
    tx: Transaction, ceremony_id: str, *, purpose: str, now_ms: int
) -> Ceremony | None:
    """Return a ceremony and delete it: each serves once."""
    query = select(ceremonies).where(ceremonies.c.id == ceremony_id)
    row = (await tx.execute(query)).first()
    await tx.execute(delete(ceremonies).where(ceremonies.c.id == ceremony_id))
    if row is None or row.purpose != purpose or row.expires_ms <= now_ms:
        return None
    return Ceremony(challenge=row.challenge, data=row.data)


def _account(row: Row[tuple[object, ...]]) -> Account:
    return Account(
        id=row.id,
        role=row.role,
        agency=row.agency,
        name=row.name,
        suspended_ms=row.suspended_ms,
        suspended_by=row.suspended_by,
    )


def _credential(row: Row[tuple[object, ...]]) -> Credential:
    return Credential(
        credential_id=row.credential_id,
        account_id=row.account_id,
        public_key=row.public_key,
        rp_id=row.rp_id,
        origin=row.origin,
        aaguid=row.aaguid,
        sign_count=row.sign_count,
        is_demo=row.is_demo,
    )
