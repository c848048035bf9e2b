"""The people who make a relay's register: two administrators, and an agency with its agreement.

What they sign goes the way of the real commands (relay/agency/changes.py and keys.py); only files
and command lines are left out.
"""

from typing import Any

from firmware.protocol.encoding import b64u, sha256_hex
from firmware.protocol.register.entries import (
    Agreement,
    ChangeBody,
    ChangeLeaf,
    Charter,
    Delays,
    Limits,
)
from relay.agency.changes import (
    AdminKey,
    ProposedChange,
    generate_admin,
    propose,
    propose_agreement,
    sign_change,
)
from relay.agency.keys import AgencyEnrolment, NewAgency, generate_agency, sign_agreement
from relay.agency.register import RegisterService
from relay.store import requests
from relay.store.database import Database

DAY_MS = 24 * 3600 * 1000
NAME = "example.testtown"
QUICK = Delays(
    key_age_ms=0, agreement_age_ms=0, freshness_ms=3600 * 1000, slot_ms=600_000, batch_ms=0
)
"""An example town in which everything counts at once."""
EASY = Limits(area_quiet_ms=0)
TEXT = "Lakeland Police asks owners through Doorward, and in no other way."


class RegisterTown:
    """Two administrators who sign what is asked of them, and agencies' own keys."""

    def __init__(self, register: RegisterService, database: Database) -> None:
        self.register = register
        self.database = database
        self.admins: list[AdminKey] = [
            generate_admin("ann", "Ann Berg"),
            generate_admin("bob", "Bo"),
        ]
        self.keys: dict[str, NewAgency] = {}
        self.versions: dict[str, int] = {}

    async def signed(
        self, body: ChangeBody, *admins: AdminKey, follows: int | None = None
    ) -> ChangeLeaf:
        """Return the next change with the signatures of these, or of both."""
        follows = await self.register.widenings() if follows is None else follows
        proposed = propose(self.register.origin, body, follows=follows)
        for admin in admins or self.admins:
            proposed = sign_change(proposed, admin)
        return proposed.leaf()

    async def change(self, body: ChangeBody, *admins: AdminKey) -> None:
        """Sign a change and submit it."""
        leaf = await self.signed(body, *admins)
        await self.register.submit(leaf, key=leaf.digest())
        async with self.database.begin() as tx:
            await requests.put_agreement_text(tx, sha256_hex(TEXT.encode()), TEXT)

    async def charter(self, *, delays: Delays = QUICK, limits: Limits = EASY) -> None:
        """Make the first entry."""
        await self.change(
            Charter(
                is_example=self.register.origin.startswith("example."),
                admins=[admin.public() for admin in self.admins],
                delays=delays,
                limits=limits,
            )
        )

    async def agree(
        self,
        agency_id: str,
        name: str,
        *,
        cells: list[str],
        begins_ms: int,
        ends_ms: int | None = None,
        **changes: Any,
    ) -> Agreement:
        """Let an agency sign an agreement, and both administrators its entry."""
        given = {"cells": cells, "begins_ms": begins_ms, "ends_ms": ends_ms}
        agreement, proposed = await self.signed_agreement(agency_id, name, **given, **changes)
        leaf = proposed.leaf()
        await self.register.submit(leaf, key=leaf.digest())
        self.versions[agency_id] = agreement.version
        return agreement

    async def signed_agreement(
        self,
        agency_id: str,
        name: str,
        *,
        cells: list[str],
        begins_ms: int,
        ends_ms: int | None = None,
        **changes: Any,
    ) -> tuple[Agreement, ProposedChange]:
        """Return the same, signed and not submitted."""
        keys = self.keys.setdefault(agency_id, generate_agency(agency_id, also=("recovery",)))
        version = self.versions.get(agency_id, 0) + 1
        fields: dict[str, Any] = {
            "origin": self.register.origin,
            "agency": agency_id,
            "name": name,
            "version": version,
            "text_sha256": sha256_hex(TEXT.encode()),
            "vote": "none",
            "gifts": "none",
            "promotion": "none",
            "begins_ms": begins_ms,
            "ends_ms": begins_ms + 365 * DAY_MS if ends_ms is None else ends_ms,
            "signing_key": b64u(keys.key.signing_key_spki()),
            "sealing_keys": [one.key for one in keys.public.sealing_keys],
            "cells": cells,
        }
        agreement = Agreement(**(fields | changes))
        enrolment = AgencyEnrolment(signed=sign_agreement(keys.key, agreement), text=TEXT)
        proposed = propose_agreement(enrolment, follows=await self.register.widenings())
        for admin in self.admins:
            proposed = sign_change(proposed, admin)
        return agreement, proposed
