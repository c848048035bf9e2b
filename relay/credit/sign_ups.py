"""Sign-ups with a campaign's code: each doorbell once, 30 days after it was paired.

The code is forgotten at once. Kept is a mark on the doorbell, which names no campaign, and one more
in the campaign's count of a random month, which names nobody. Place plays no part. The answer is
the same whatever the campaign's budget: a refusal would count others' sign-ups.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

from firmware.protocol.events import Paired
from relay.base.clock import Clock
from relay.base.months import month_of, shifted
from relay.credit.errors import CreditRefused
from relay.credit.partners import code_of
from relay.credit.portal_logins import require_no_portal_login
from relay.store import credit, events, people, routing
from relay.store.database import Database, Transaction
from relay.store.people import Account

PAIRED_FOR_MS = 30 * 24 * 3600 * 1000
DUE_WITHIN_MONTHS = 3
"""A sign-up is booked in a random one of so many next months."""


SignUpState = Literal["missing", "waiting", "ready", "used"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Whether a doorbell of an account may count; `device` is the one that may now.

    `from_ms` is when the first one may, while it is `waiting`. `codes` are all campaigns'.
    """

    state: SignUpState
    device: str | None = None
    from_ms: int | None = None
    codes: tuple[str, ...] = ()


class SignUps:
    """Takes owners' codes."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        randbelow: Callable[[int], int] = secrets.randbelow,
    ) -> None:
        self._database = database
        self._clock = clock
        self._randbelow = randbelow

    async def standing(self, owner: Account) -> Standing:
        """Return whether a doorbell of this account may count, and all public codes."""
        async with self._database.read() as tx:
            found = await _standing(tx, owner, self._clock.wall_ms())
            campaigns = await credit.list_campaigns(tx)
        return replace(found, codes=tuple(one.code for one in campaigns))

    async def sign_up(self, owner: Account, code: str) -> None:
        """Count one sign-up for a doorbell of this account, or raise CreditRefused."""
        code = code_of(code)
        now_ms = self._clock.wall_ms()
        async with self._database.begin() as tx:
            await _require_owner(tx, owner)
            if await credit.find_campaign(tx, code) is None:
                raise CreditRefused("code_unknown", f"no campaign has the code {code}")
            found = await _standing(tx, owner, now_ms)
            if found.device is None:
                raise _refusal(found)
            await credit.mark_used(tx, found.device)
            due = shifted(month_of(now_ms), 1 + self._randbelow(DUE_WITHIN_MONTHS))
            await credit.add_due(tx, code, due)


async def _require_owner(tx: Transaction, owner: Account) -> None:
    if owner.role != "owner":
        raise CreditRefused("portal_login", "this account has a login to the agencies' portal")
    email = await credit.email_of(tx, owner.id)
    await require_no_portal_login(tx, names=(owner.name,), email=email)


async def _standing(tx: Transaction, owner: Account, now_ms: int) -> Standing:
    since = {
        one.device: await _paired_since_ms(tx, owner, one.device)
        for one in await routing.list_linked(tx, owner.id)
    }
    known = {device: at_ms for device, at_ms in since.items() if at_ms is not None}
    used = await credit.used_among(tx, sorted(known))
    unused = sorted((at_ms, device) for device, at_ms in known.items() if device not in used)
    if not unused:
        return Standing(state="used" if used else "missing")
    at_ms, device = unused[0]
    if (from_ms := at_ms + PAIRED_FOR_MS) > now_ms:
        return Standing(state="waiting", from_ms=from_ms)
    return Standing(state="ready", device=device)


async def _paired_since_ms(tx: Transaction, owner: Account, device: str) -> int | None:
    """Return when the relay was told that this account owns a doorbell; None if it wasn't."""
    words = [
        await events.last_word_on_owner(tx, device, passkey.credential_id)
        for passkey in await people.list_credentials(tx, owner.id)
    ]
    paired = [word.received_ms for word in words if word and isinstance(word.event.body, Paired)]
    return min(paired, default=None)


def _refusal(found: Standing) -> CreditRefused:
    if found.from_ms is not None:
        day = datetime.fromtimestamp(found.from_ms / 1000, UTC).strftime("%Y-%m-%d")
        words = f"the doorbell hasn't been paired for 30 days; hand the code in from {day} on"
        return CreditRefused("too_early", words)
    if found.state == "used":
        return CreditRefused("doorbell_used", "each doorbell counts once, and yours has counted")
    return CreditRefused("doorbell_missing", "pair a doorbell first; after 30 days its code counts")
