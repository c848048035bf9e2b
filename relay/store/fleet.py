"""Tables of the fleet: enrolled doorbells and their claims."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.engine import RowMapping

from relay.store.database import Transaction, change_audience
from relay.store.schema import account_doorbells, claims, doorbells, guests


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorbellRow:
    """One enrolled doorbell. Keys are base64url."""

    device: str
    identity_key: str
    sealing_key: str
    certificate_pem: str
    evidence_certificate_pem: str
    certificate_ends_ms: int
    enrolled_ms: int
    revoked_ms: int | None
    cloned_ms: int | None = None
    shard: str | None = None
    """The shard that it was moved to; it is revoked here then."""
    state: str
    state_since_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRow:
    """One claim; only the hash of its secret is kept."""

    secret_hash: str
    expires_ms: int
    used_ms: int | None
    device: str | None
    replaces: str | None
    replays: int
    replayed_ms: int | None
    shard: str | None
    from_shard: str | None


async def add_claim(
    tx: Transaction, secret_hash: str, expires_ms: int, *, replaces: str | None = None
) -> None:
    """Store a new claim."""
    values = {"secret_hash": secret_hash, "expires_ms": expires_ms, "replaces": replaces}
    await tx.execute(insert(claims).values(**values))


async def drop_replacing_claims(tx: Transaction, device: str) -> None:
    """Delete the unused claims that would replace a doorbell."""
    unused = (claims.c.replaces == device) & claims.c.used_ms.is_(None)
    await tx.execute(delete(claims).where(unused))


async def note_replay(tx: Transaction, secret_hash: str, *, now_ms: int) -> None:
    """Count that another key than the first used a claim."""
    change = update(claims).where(claims.c.secret_hash == secret_hash)
    await tx.execute(change.values(replays=claims.c.replays + 1, replayed_ms=now_ms))


async def replayed_claims(
    tx: Transaction, *, since_ms: int, devices: Collection[str] | None = None
) -> dict[str, int]:
    """Return the doorbells whose claims another key used since a time, each with when last.

    Of all doorbells, or of these.
    """
    query = select(claims.c.device, func.max(claims.c.replayed_ms)).where(
        claims.c.replayed_ms >= since_ms, claims.c.device.is_not(None)
    )
    if devices is not None:
        query = query.where(claims.c.device.in_(devices))
    return {row[0]: row[1] for row in await tx.execute(query.group_by(claims.c.device))}


async def cloned_devices(tx: Transaction) -> list[str]:
    """Return the doorbells that aren't revoked whose cards are known to be in two devices."""
    query = select(doorbells.c.device).where(
        doorbells.c.cloned_ms.is_not(None), doorbells.c.revoked_ms.is_(None)
    )
    return list((await tx.execute(query)).scalars())


async def get_claim(tx: Transaction, secret_hash: str) -> ClaimRow | None:
    """Return a claim by the hash of its secret."""
    query = select(claims).where(claims.c.secret_hash == secret_hash)
    row = (await tx.execute(query)).mappings().one_or_none()
    return None if row is None else ClaimRow(**row)


async def use_claim(tx: Transaction, secret_hash: str, *, device: str, used_ms: int) -> bool:
    """Spend a claim; False if it was spent before."""
    change = (
        update(claims)
        .where(claims.c.secret_hash == secret_hash, claims.c.used_ms.is_(None))
        .values(used_ms=used_ms, device=device)
    )
    return (await tx.execute(change)).rowcount == 1


async def add(tx: Transaction, doorbell: DoorbellRow) -> None:
    """Enrol a new doorbell."""
    values = {field: getattr(doorbell, field) for field in DoorbellRow.__slots__}
    await tx.execute(insert(doorbells).values(**values))


async def enrol_again(
    tx: Transaction,
    device: str,
    *,
    certificate_pem: str,
    certificate_ends_ms: int,
    evidence_certificate_pem: str,
    sealing_key: str,
) -> None:
    """Give an enrolled doorbell new certificates for a new claim."""
    change = (
        update(doorbells)
        .where(doorbells.c.device == device)
        .values(
            certificate_pem=certificate_pem,
            certificate_ends_ms=certificate_ends_ms,
            evidence_certificate_pem=evidence_certificate_pem,
            sealing_key=sealing_key,
        )
    )
    await tx.execute(change)


async def renew(
    tx: Transaction, device: str, *, certificate_pem: str, ends_ms: int, before_ends_ms: int
) -> bool:
    """Give a doorbell its next certificate for the broker; False unless all is as it was read.

    `before_ends_ms` is the end of the certificate that it had.
    """
    change = (
        update(doorbells)
        .where(
            doorbells.c.device == device,
            doorbells.c.revoked_ms.is_(None),
            doorbells.c.certificate_ends_ms == before_ends_ms,
        )
        .values(certificate_pem=certificate_pem, certificate_ends_ms=ends_ms)
    )
    return (await tx.execute(change)).rowcount == 1


async def count_ending(tx: Transaction, *, from_ms: int, before_ms: int) -> int:
    """Return how many doorbells that aren't revoked have a certificate that ends in this time."""
    query = (
        select(func.count())
        .select_from(doorbells)
        .where(
            doorbells.c.revoked_ms.is_(None),
            doorbells.c.certificate_ends_ms >= from_ms,
            doorbells.c.certificate_ends_ms < before_ms,
        )
    )
    return int((await tx.execute(query)).scalar_one())


async def get(tx: Transaction, device: str) -> DoorbellRow | None:
    """Return one doorbell, also a revoked one."""
    query = select(doorbells).where(doorbells.c.device == device)
    row = (await tx.execute(query)).mappings().one_or_none()
    return None if row is None else _doorbell(row)


async def is_active(tx: Transaction, device: str) -> bool:
    """Return whether a doorbell is enrolled and not revoked."""
    query = select(doorbells.c.device).where(
        doorbells.c.device == device, doorbells.c.revoked_ms.is_(None)
    )
    return (await tx.execute(query)).first() is not None


async def is_cloned(tx: Transaction, device: str) -> bool:
    """Return whether a doorbell's card is known to be in two devices."""
    query = select(doorbells.c.device).where(
        doorbells.c.device == device, doorbells.c.cloned_ms.is_not(None)
    )
    return (await tx.execute(query)).first() is not None


async def mark_cloned(tx: Transaction, device: str, *, cloned_ms: int) -> bool:
    """Store that a doorbell's card is in two devices; False if it was known."""
    change = (
        update(doorbells)
        .where(doorbells.c.device == device, doorbells.c.cloned_ms.is_(None))
        .values(cloned_ms=cloned_ms)
    )
    return (await tx.execute(change)).rowcount == 1


async def active_devices(tx: Transaction) -> frozenset[str]:
    """Return the ids of all doorbells that aren't revoked."""
    query = select(doorbells.c.device).where(doorbells.c.revoked_ms.is_(None))
    return frozenset((await tx.execute(query)).scalars())


async def all_devices(tx: Transaction) -> list[str]:
    """Return the ids of all doorbells, of revoked ones too."""
    return list((await tx.execute(select(doorbells.c.device))).scalars())


async def only_active(tx: Transaction) -> str | None:
    """Return the one doorbell that isn't revoked; None if there is none, or more than one."""
    query = select(doorbells.c.device).where(doorbells.c.revoked_ms.is_(None)).limit(2)
    found = (await tx.execute(query)).scalars().all()
    return found[0] if len(found) == 1 else None


async def revoked_devices(tx: Transaction) -> frozenset[str]:
    """Return the ids of all revoked doorbells."""
    query = select(doorbells.c.device).where(doorbells.c.revoked_ms.is_not(None))
    return frozenset((await tx.execute(query)).scalars())


async def revoke(tx: Transaction, device: str, *, revoked_ms: int) -> bool:
    """Mark a doorbell as revoked; False if there is no such doorbell, or it was already."""
    change = (
        update(doorbells)
        .where(doorbells.c.device == device, doorbells.c.revoked_ms.is_(None))
        .values(revoked_ms=revoked_ms)
    )
    for table in (account_doorbells, guests):
        query = select(table.c.account_id).where(table.c.device == device)
        change_audience(tx, *(await tx.execute(query)).scalars())
    return (await tx.execute(change)).rowcount == 1


async def set_state(tx: Transaction, device: str, state: str, *, since_ms: int) -> bool:
    """Store that a doorbell is online or offline; False if it was so already."""
    change = (
        update(doorbells)
        .where(doorbells.c.device == device, doorbells.c.state != state)
        .values(state=state, state_since_ms=since_ms)
    )
    return (await tx.execute(change)).rowcount == 1


def _doorbell(row: RowMapping) -> DoorbellRow:
    return DoorbellRow(**row)
