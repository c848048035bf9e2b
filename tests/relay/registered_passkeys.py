"""Passkeys of accounts at a relay, without the ceremonies that lead there."""

from firmware.protocol.encoding import new_id
from relay.store import people
from relay.store.database import Database
from relay.store.people import Account, Credential


async def register_passkeys(database: Database, *credential_ids: str) -> None:
    """Give each passkey an owner's account, so that what names it is kept."""
    async with database.begin() as tx:
        for credential_id in credential_ids:
            account = Account(id=new_id(), role="owner", agency=None, name="Owner")
            await people.add_account(tx, account, 0)
            passkey = Credential(
                credential_id=credential_id,
                account_id=account.id,
                public_key="k",
                rp_id="owner.test",
                origin="https://owner.test",
                aaguid="",
                sign_count=0,
                is_demo=False,
            )
            await people.add_credential(tx, passkey)
