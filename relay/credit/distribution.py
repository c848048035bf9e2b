"""Publication of recipient lists, the draw, and the issue of doorbells with their receipts."""

import secrets
from collections.abc import Callable

from relay.base.clock import Clock
from relay.credit.errors import CreditRefused
from relay.credit.ledger import CREDIT, DOORBELL_CENTS, DOORBELLS, POT, Ledger, move
from relay.credit.partners import require_partner
from relay.credit.receipts import Receipt
from relay.credit.recipients import RecipientList, checked, draw, parse_list
from relay.custody.entries import CustodyEntries
from relay.custody.log_entries import LogEntries
from relay.store import credit, logs
from relay.store.credit import ListRow
from relay.store.database import Database, Transaction


class Distribution:
    """Gives doorbells to the recipients whom a published need or a lot names."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._database = database
        self._ledger = Ledger(clock)
        self._random_bytes = random_bytes
        self._entries = CustodyEntries(LogEntries())

    async def publish(self, listed: RecipientList) -> str:
        """Publish a list, and put its digest into the log; return the digest."""
        listed = checked(listed)
        sha256 = listed.digest()
        async with self._database.begin() as tx:
            await require_partner(tx, listed.partner)
            if await credit.find_list(tx, listed.name) is not None:
                raise CreditRefused("list", f"there is a list {listed.name} already")
            pending = await self._entries.credits_published(
                tx, subject="recipients", name=listed.name, sha256=sha256
            )
            row = ListRow(
                name=listed.name,
                document=listed.encode().decode(),
                sha256=sha256,
                entry=pending.number,
            )
            await credit.add_list(tx, row)
        return sha256

    async def draw(self, name: str) -> list[int]:
        """Draw the lots of a published list, once; return the numbers that get a doorbell."""
        async with self._database.begin() as tx:
            row = await _find(tx, name)
            if row.checkpoint_root is None:
                entry = await logs.find_by_number(tx, "custody", row.entry)
                index = None if entry is None else entry.leaf_index
                later = (
                    None if index is None else await logs.witnessed_after(tx, "custody", index + 1)
                )
                if later is None:
                    raise CreditRefused(
                        "not_drawn",
                        "the log has no witnessed checkpoint beyond this list yet: try again in "
                        "some minutes",
                    )
                await credit.set_draw(tx, name, size=later.size, root=later.root)
                row = await _find(tx, name)
        return drawn(row)

    async def issue(self, name: str, recipient: int, keep: Callable[[str], None]) -> Receipt:
        """Issue a doorbell to a drawn recipient; `keep` stores the receipt before the commit."""
        async with self._database.begin() as tx:
            row = await _find(tx, name)
            listed = parse_list(row.document.encode())
            await require_partner(tx, listed.partner)
            if row.checkpoint_root is None:
                raise CreditRefused("not_drawn", f"{name} isn't drawn yet: credit recipients draw")
            if recipient not in drawn(row):
                raise CreditRefused("recipient", f"{recipient} isn't among those drawn on {name}")
            booked = await credit.balance(tx, CREDIT)
            source = CREDIT if booked >= DOORBELL_CENTS else POT
            receipt = Receipt(
                list_name=name,
                list_sha256=row.sha256,
                recipient=recipient,
                month=self._ledger.month,
                salt=self._random_bytes(16).hex(),
            )
            number = await self._ledger.post(
                tx, "issue", move(DOORBELL_CENTS, of=source, to=DOORBELLS), reference=receipt.sha256
            )
            if not await credit.add_issue(tx, name, recipient, number):
                raise CreditRefused(
                    "recipient", f"{recipient} on {name} has their doorbell already"
                )
            keep(receipt.text)
        return receipt


def drawn(row: ListRow) -> list[int]:
    """Return the numbers that get a doorbell, in the order of the draw; none before it."""
    if row.checkpoint_root is None:
        return []
    listed = parse_list(row.document.encode())
    return draw(listed, bytes.fromhex(row.checkpoint_root))[: listed.doorbells]


async def _find(tx: Transaction, name: str) -> ListRow:
    row = await credit.find_list(tx, name)
    if row is None:
        raise CreditRefused("list", f"no list is called {name}")
    return row
