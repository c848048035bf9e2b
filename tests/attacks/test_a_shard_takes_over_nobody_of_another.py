"""Attack: a shard's relay writes rows of its own into the file of a doorbell that it moves.

The other shard takes the file. A passkey in it, for somebody who is there already, would let the
first one's operator sign in as that person: an owner, an officer or an administrator.

Seen to succeed with the check taken out: passkeys and subscriptions only of accounts that the file
has just brought; no row of an account that isn't in it; nothing for an officer or administrator who
is here; unbound claims only.
"""

import io
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from relay.base.clock import SystemClock
from relay.errors import ShardMoveRefused
from relay.store import fleet, people
from relay.store.people import Account
from relay.store.schema import push_subscriptions
from tests.relay.shard_databases import Shard, moved, shard_databases

MINE = "bWluZQ"


@pytest.fixture
async def shards(tmp_path: Path) -> AsyncIterator[tuple[Shard, Shard]]:
    async with shard_databases(tmp_path) as (a, b):
        yield a, b


def account(account_id: str, role: str = "owner") -> dict[str, object]:
    row = {"id": account_id, "role": role, "agency": None, "name": "Eve", "created_ms": 1}
    ends = {"suspended_ms": None, "suspended_by": None, "keep_event_days": None}
    return {"table": "accounts", "row": row | {"email": None} | ends}


def passkey(account_id: str) -> dict[str, object]:
    row = {
        "credential_id": MINE,
        "account_id": account_id,
        "public_key": "bXkga2V5",
        "sign_count": 0,
    }
    at = {"rp_id": "owner.test", "origin": "https://owner.test", "aaguid": "-", "is_demo": False}
    return {"table": "credentials", "row": row | at}


def subscription(account_id: str) -> dict[str, object]:
    row = {"account_id": account_id, "browser": "b1", "endpoint": "https://eve.test", "set_ms": 1}
    return {"table": "push_subscriptions", "row": row | {"expires_ms": None}}


def claim(**changes: object) -> dict[str, object]:
    row = {"secret_hash": "0" * 64, "expires_ms": 2**50, "used_ms": None, "device": None}
    more = {"replaces": None, "replays": 0, "replayed_ms": None, "shard": None}
    more |= {"from_shard": None}
    return {"table": "claims", "row": row | more | changes}


def with_rows(file: bytes, *rows: dict[str, object]) -> io.BytesIO:
    """Return a file with rows before its end, which counts them."""
    *lines, end = file.splitlines()
    lines += [json.dumps(row).encode() for row in rows]
    count = json.loads(end)["rows"] + len(rows)
    return io.BytesIO(b"\n".join([*lines, json.dumps({"rows": count}).encode(), b""]))


async def passkeys(shard: Shard, account_id: str) -> list[str]:
    async with shard.database.read() as tx:
        return [one.credential_id for one in await people.list_credentials(tx, account_id)]


async def somebody(shard: Shard, role: str) -> str:
    person = Account(id=f"an-{role}", role=role, agency=None, name="Cy")  # type: ignore[arg-type]
    async with shard.database.begin() as tx:
        await people.add_account(tx, person, SystemClock().wall_ms())
    return person.id


async def test_a_shard_adds_no_passkey_to_somebody_who_is_at_the_other(
    shards: tuple[Shard, Shard],
) -> None:
    a, b = shards
    victim = await b.add_owner(await b.enrol())
    before = await passkeys(b, victim)
    file = await moved(a, await a.enrol())
    rows = (account(victim), passkey(victim), subscription(victim))
    await b.moves.take(with_rows(file, *rows))
    assert await passkeys(b, victim) == before
    async with b.database.read() as tx:
        found = await tx.execute(push_subscriptions.select())
        assert found.all() == []


@pytest.mark.parametrize("row", [passkey, subscription])
async def test_nor_without_naming_them(shards: tuple[Shard, Shard], row: object) -> None:
    a, b = shards
    victim = await b.add_owner(await b.enrol())
    file = await moved(a, await a.enrol())
    with pytest.raises(ShardMoveRefused, match="the file doesn't have"):
        await b.moves.take(with_rows(file, row(victim)))  # type: ignore[operator]


@pytest.mark.parametrize("role", ["admin", "officer"])
async def test_nor_are_officers_and_administrators_touched(
    shards: tuple[Shard, Shard], role: str
) -> None:
    a, b = shards
    victim = await somebody(b, role)
    file = await moved(a, await a.enrol())
    with pytest.raises(ShardMoveRefused, match="isn't an owner's"):
        await b.moves.take(with_rows(file, account(victim), passkey(victim)))
    with pytest.raises(ShardMoveRefused, match="is no row"):
        await b.moves.take(with_rows(file, account("new", role), passkey("new")))
    assert await passkeys(b, victim) == await passkeys(b, "new") == []


@pytest.mark.parametrize("change", [{"used_ms": 1}, {"device": "d"}, {"replaces": "d"}])
async def test_nor_comes_a_claim_that_is_bound(
    shards: tuple[Shard, Shard], change: dict[str, object]
) -> None:
    a, b = shards
    file = await moved(a, await a.enrol())
    with pytest.raises(ShardMoveRefused, match="is no row"):
        await b.moves.take(with_rows(file, claim(**change)))


async def test_somebody_new_brings_their_passkeys(shards: tuple[Shard, Shard]) -> None:
    a, b = shards
    file = await moved(a, await a.enrol())
    await b.moves.take(with_rows(file, account("new"), passkey("new"), claim()))
    assert await passkeys(b, "new") == [MINE]
    async with b.database.read() as tx:
        assert await fleet.get_claim(tx, "0" * 64)
