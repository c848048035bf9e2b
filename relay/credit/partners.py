"""Partners, their funds and campaigns: what the operator does at the command line."""

import re
import secrets
import unicodedata
from collections.abc import Callable, Collection

from relay.base.clock import Clock
from relay.credit.errors import CreditRefused
from relay.credit.ledger import (
    DOORBELL_CENTS,
    OUTSIDE,
    POT,
    STARTING_DOORBELLS,
    Ledger,
    campaign_account,
    check_amount,
    move,
    partner_account,
)
from relay.credit.lots import LOT
from relay.credit.partner_kinds import PartnerKind
from relay.credit.portal_logins import require_no_agency, require_no_portal_login
from relay.store import credit
from relay.store.credit import CampaignRow, LedgerLine, PartnerRow
from relay.store.database import Database, Transaction

MAX_NAME_CHARS = 120
_CODE = re.compile(r"[A-Z0-9](?:-?[A-Z0-9]){3,23}")
_EMAIL = re.compile(r"[^@\s]{1,64}@[a-z0-9-]+(?:\.[a-z0-9-]+)+", re.IGNORECASE)


class Partners:
    """Adds partners and campaigns, and posts what they pay."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        randbelow: Callable[[int], int] = secrets.randbelow,
    ) -> None:
        self._database = database
        self._ledger = Ledger(clock)
        self._randbelow = randbelow

    async def add(
        self, name: str, kind: PartnerKind, *, contact: str, email: str, agencies: Collection[str]
    ) -> str:
        """Add a partner and return its id. `agencies` are the names in the register.

        `contact` is the person who acts for the partner; neither may have a login to the portal.
        """
        for what in (name, contact):
            _check_name(what)
        if len(email) > MAX_NAME_CHARS or not _EMAIL.fullmatch(email):
            raise CreditRefused("name", f"{email!r} is no e-mail address")
        require_no_agency(name, agencies)
        partner_id = _id_of(name)
        row = PartnerRow(id=partner_id, name=name, kind=kind, contact=contact, email=email)
        async with self._database.begin() as tx:
            await _require_outsider(tx, row)
            if not await credit.add_partner(tx, row):
                raise CreditRefused("partner", f"there is a partner {partner_id} already")
        return partner_id

    async def endow(self) -> int:
        """Endow the pot with the first 15 doorbells, once; return the transaction's number."""
        async with self._database.begin() as tx:
            if POT in await credit.balances(tx):
                raise CreditRefused("balance", "the pot was endowed before, and is so only once")
            lines = move(STARTING_DOORBELLS * DOORBELL_CENTS, of=OUTSIDE, to=POT)
            return await self._ledger.post(tx, "endowment", lines)

    async def fund(self, partner_id: str, cents: int) -> int:
        """Take a partner's money in; return the transaction's number."""
        check_amount(cents)
        async with self._database.begin() as tx:
            partner = await require_partner(tx, partner_id)
            lines = move(cents, of=OUTSIDE, to=partner_account(partner.id))
            return await self._ledger.post(tx, "funds", lines)

    async def add_campaign(self, partner_id: str, code: str, budget_cents: int) -> int:
        """Begin a campaign with a budget out of its partner's funds."""
        check_amount(budget_cents)
        code = code_of(code)
        async with self._database.begin() as tx:
            partner = await require_partner(tx, partner_id)
            row = CampaignRow(code=code, partner=partner.id, head_start=self._randbelow(LOT))
            if not await credit.add_campaign(tx, row):
                raise CreditRefused("code", f"there is a campaign {code} already")
            lines = move(budget_cents, of=partner_account(partner.id), to=campaign_account(code))
            return await self._ledger.post(tx, "budget", lines)

    async def match(self, code: str, partner_ids: tuple[str, str], cents: int) -> int:
        """Add to a campaign's budget: the same amount out of two partners' funds, 1:1."""
        check_amount(cents)
        code = code_of(code)
        async with self._database.begin() as tx:
            if await credit.find_campaign(tx, code) is None:
                raise CreditRefused("code_unknown", f"there is no campaign {code}")
            both = [await require_partner(tx, one) for one in partner_ids]
            lines = [
                *(LedgerLine(account=partner_account(one.id), cents=-cents) for one in both),
                LedgerLine(account=campaign_account(code), cents=2 * cents),
            ]
            return await self._ledger.post(tx, "match", lines)


def code_of(text: str) -> str:
    """Return a campaign's code as it is kept, or raise CreditRefused."""
    code = text.strip().upper()
    if len(code) > 24 or not _CODE.fullmatch(code):
        raise CreditRefused(
            "code", "a code has 4 to 24 letters from A to Z, digits, and single dashes between them"
        )
    return code


async def require_partner(tx: Transaction, partner_id: str) -> PartnerRow:
    """Return a partner who may act today, or raise CreditRefused: a later login counts as well."""
    row = await credit.find_partner(tx, partner_id)
    if row is None:
        raise CreditRefused("partner", f"there is no partner {partner_id}")
    await _require_outsider(tx, row)
    return row


async def _require_outsider(tx: Transaction, row: PartnerRow) -> None:
    await require_no_portal_login(tx, names=(row.name, row.contact), email=row.email)


def _check_name(name: str) -> None:
    is_line = name.isprintable() and name == name.strip()
    if not (is_line and 0 < len(name) <= MAX_NAME_CHARS):
        raise CreditRefused("name", f"a name is one line of 1 to {MAX_NAME_CHARS} characters")


def _id_of(name: str) -> str:
    """Return a partner's id: its name in a-z, 0-9 and dashes."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    found = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40].strip("-")
    if not found:
        raise CreditRefused("name", "a partner's name needs a letter from a to z, or a digit")
    return found
