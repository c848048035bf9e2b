"""Attack: somebody removed as an owner or guest follows the doorbell again at another shard.

The doorbell's word is committed at the old shard, and its hook there comes only after the move: the
file would have the link still, and at the new shard nothing would ever end it.

Seen to succeed with the check taken out of `apply_last_words`: the ends of owners, of guests, and
the changes of guests' rights. Others lose nothing by it: seen to fail without the words on an
account's other passkeys, without the pairing that was confirmed, and with any pairing for it.
"""

import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from firmware.protocol.encoding import b64u, new_id
from firmware.protocol.events import Event, EventBody, GuestGone, GuestLet, OwnerGone, Paired
from firmware.protocol.pairing import SignedPairingAnswer
from relay.base.clock import SystemClock
from relay.store import events, guests, people, routing
from relay.store.guests import GuestRow
from relay.store.people import Credential
from tests.relay.shard_databases import Shard, moved, shard_databases

BROWSER = "b" * 20
UNTIL_MS = 2**42


@pytest.fixture
async def shards(tmp_path: Path) -> AsyncIterator[tuple[Shard, Shard]]:
    async with shard_databases(tmp_path) as (a, b):
        yield a, b


async def tell(shard: Shard, device: str, *bodies: EventBody) -> None:
    """Commit events, whose hooks are still to come."""
    async with shard.database.begin() as tx:
        for seq, body in enumerate(bodies, start=1):
            event = Event(
                id=new_id(), device=device, seq=seq, time_ms=1, is_clock_trusted=True, body=body
            )
            await events.add(tx, event, received_ms=SystemClock().wall_ms())


async def move(shards: tuple[Shard, Shard], device: str) -> None:
    a, b = shards
    await b.moves.take(io.BytesIO(await moved(a, device)))


async def linked(shard: Shard, account_id: str) -> list[str]:
    async with shard.database.read() as tx:
        return [one.device for one in await routing.list_linked(tx, account_id)]


async def guest_at(shard: Shard, device: str) -> GuestRow | None:
    async with shard.database.read() as tx:
        return await guests.find(tx, device, BROWSER)


def passkey_of(account_id: str) -> str:
    return b64u(account_id.encode())


def paired(credential_id: str) -> Paired:
    return Paired(pairing_id=new_id(), credential_id=credential_id)


async def add_passkey(shard: Shard, account_id: str) -> str:
    """Give an account a second passkey; return its id."""
    async with shard.database.begin() as tx:
        (first,) = await people.list_credentials(tx, account_id)
        names = {name: getattr(first, name) for name in Credential.__slots__}
        await people.add_credential(tx, Credential(**names | {"credential_id": "c2Vjb25k"}))
    return "c2Vjb25k"


async def test_who_is_no_owner_any_more_is_none_at_the_other_shard(
    shards: tuple[Shard, Shard],
) -> None:
    a, b = shards
    device = await a.enrol()
    ada, bo = await a.add_owner(device), await a.add_owner(device)
    told = (paired(passkey_of(one)) for one in (ada, bo))
    await tell(a, device, *told, OwnerGone(credential_id=passkey_of(bo)))
    await move(shards, device)
    assert await linked(b, bo) == []
    assert await linked(b, ada) == [device]


async def add_guest(shard: Shard, device: str) -> str:
    account_id = await shard.add_owner()
    row = GuestRow(
        account_id=account_id,
        device=device,
        browser=BROWSER,
        what=("live", "rings"),
        since_seq=1,
        until_ms=UNTIL_MS,
    )
    async with shard.database.begin() as tx:
        await guests.add(tx, row)
    return account_id


async def test_whose_right_as_a_guest_has_ended_has_none_there(
    shards: tuple[Shard, Shard],
) -> None:
    a, b = shards
    device = await a.enrol()
    await add_guest(a, device)
    await tell(a, device, GuestGone(browser=BROWSER))
    await move(shards, device)
    assert await guest_at(b, device) is None


async def test_a_guest_has_there_what_the_doorbell_said_last(shards: tuple[Shard, Shard]) -> None:
    a, b = shards
    device = await a.enrol()
    await add_guest(a, device)
    let = GuestLet(pairing_id=None, browser=BROWSER, what=["rings"], until_ms=UNTIL_MS - 1)
    await tell(a, device, let)
    await move(shards, device)
    row = await guest_at(b, device)
    assert row is not None
    assert (row.what, row.until_ms) == (("rings",), UNTIL_MS - 1)


async def test_who_is_an_owner_by_another_passkey_stays_one(shards: tuple[Shard, Shard]) -> None:
    a, b = shards
    device = await a.enrol()
    ada = await a.add_owner(device)
    second = await add_passkey(a, ada)
    told = (paired(passkey_of(ada)), paired(second))
    await tell(a, device, *told, OwnerGone(credential_id=passkey_of(ada)))
    await move(shards, device)
    assert await linked(b, ada) == [device]


async def test_who_was_paired_just_now_is_an_owner_there(shards: tuple[Shard, Shard]) -> None:
    a, b = shards
    device = await a.enrol()
    ada, bo = await a.add_owner(), await a.add_owner()  # Bo has left, and begins anew
    now_ms, confirmed = SystemClock().wall_ms(), paired(passkey_of(ada))
    answer = SignedPairingAnswer(answer="{}", signature="AAAAAAAAAAAA")
    async with a.database.begin() as tx:
        for pairing_id, account_id in ((confirmed.pairing_id, ada), (new_id(), bo)):
            await routing.add_pairing(
                tx, pairing_id, account_id=account_id, expires_ms=now_ms + 60_000
            )
            await routing.answer_pairing(tx, pairing_id, answer, device=device, now_ms=now_ms)
    await tell(a, device, paired(passkey_of(bo)), confirmed)
    await move(shards, device)
    assert await linked(b, ada) == [device]
    assert await linked(b, bo) == []


async def test_whom_the_doorbell_said_nothing_of_or_took_back_stays(
    shards: tuple[Shard, Shard],
) -> None:
    a, b = shards
    device = await a.enrol()
    ada, bo, cy = [await a.add_owner(device) for _ in range(3)]
    await add_guest(a, device)
    told = (OwnerGone(credential_id=passkey_of(bo)), paired(passkey_of(bo)))
    await tell(a, device, *told)
    await move(shards, device)
    assert [await linked(b, one) for one in (ada, bo, cy)] == [[device]] * 3
    row = await guest_at(b, device)
    assert row is not None
    assert row.what == ("live", "rings")
