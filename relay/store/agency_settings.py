"""Table of agencies' settings for their officers. A limit that isn't set isn't there."""

import json
from dataclasses import dataclass

from sqlalchemy import select

from relay.store.database import Transaction
from relay.store.schema import agency_settings
from relay.store.upserts import upsert


@dataclass(frozen=True, slots=True, kw_only=True)
class AgencySettings:
    """An agency's settings: `networks` in CIDR form, empty for any.

    `email_domain` is where colleagues' mail is.
    """

    agency: str
    email_domain: str | None = None
    networks: tuple[str, ...] = ()
    max_sessions: int | None = None


async def find(tx: Transaction, agency: str) -> AgencySettings:
    """Return an agency's settings; without a row there are no limits."""
    query = select(agency_settings).where(agency_settings.c.agency == agency)
    row = (await tx.execute(query)).first()
    if row is None:
        return AgencySettings(agency=agency)
    return AgencySettings(
        agency=row.agency,
        email_domain=row.email_domain,
        networks=tuple(json.loads(row.networks)),
        max_sessions=row.max_sessions,
    )


async def put(tx: Transaction, settings: AgencySettings, now_ms: int) -> None:
    """Store an agency's settings in place of those that it had."""
    values = {
        "email_domain": settings.email_domain,
        "networks": json.dumps(list(settings.networks)),
        "max_sessions": settings.max_sessions,
        "changed_ms": now_ms,
    }
    insert = upsert(tx, agency_settings).values(agency=settings.agency, **values)
    await tx.execute(insert.on_conflict_do_update(index_elements=["agency"], set_=values))
