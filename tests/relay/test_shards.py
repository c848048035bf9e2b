"""A shard is split in two: whole households go to the other relay, and all go on.

Both relays, their brokers and databases are real, and so are the doorbells' links, outboxes and
followers; the logs are the towns' of tests/fakes/log_town.py.
"""

import asyncio
from pathlib import Path

import pytest

from firmware.consent.facts import Grant, Release
from firmware.consent.verifier import judge
from firmware.enrolment import renewal
from firmware.protocol.encoding import new_id
from relay.base.clock import SystemClock
from relay.fleet.shards import households
from relay.store import events, people, routing
from relay.store.database import Database
from relay.store.people import Account
from tests.fakes.consent_world import MINUTE_MS, make_world
from tests.fakes.waiting import PATIENCE_S, in_time
from tests.relay.shards import Shard, ShardDoorbell, TwoShards, two_shards


async def own(shard: Shard, name: str, *doorbells: ShardDoorbell) -> str:
    """Let somebody own doorbells at a shard; return the account."""
    account = Account(id=new_id(), role="owner", agency=None, name=name)
    async with shard.relay.database.begin() as tx:
        await people.add_account(tx, account, SystemClock().wall_ms())
        for doorbell in doorbells:
            await routing.link(tx, account.id, doorbell.device)
    return account.id


async def stored(database: Database, device: str) -> list[str]:
    """Return the ids of a doorbell's events, in their order."""
    async with database.read() as tx:
        query = events.events.select().where(events.events.c.device == device)
        rows = (await tx.execute(query.order_by(events.events.c.relay_seq))).mappings()
        return [row["event_id"] for row in rows]


async def rings(shard: Shard, doorbell: ShardDoorbell) -> str:
    """Press, and wait until the shard's relay has it."""
    pressed = await doorbell.press()

    async def is_there() -> bool:
        return pressed in await stored(shard.relay.database, doorbell.device)

    async with asyncio.timeout(PATIENCE_S):
        while not await is_there():  # noqa: ASYNC110 (the database sets no event)
            await asyncio.sleep(0.05)
    return pressed


async def split(shards: TwoShards, folder: Path, count: int) -> list[str]:
    """Move so many doorbells, as an operator does; return which."""
    chosen = await shards.a.moves.choose(count, to="b")
    with (folder / "moved.jsonl").open("wb") as file:
        signers = shards.signing.directory_signers
        await shards.a.moves.move("b", file, devices=chosen, has_claims=True, signers=signers)
    with (folder / "moved.jsonl").open("rb") as file:
        await shards.b.moves.take(file)
    for device in chosen:
        await shards.a.relay.bus.announce_revocation(device)
    return chosen


async def test_half_of_a_shards_doorbells_go_on_at_another_and_half_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renewal, "ASK_WHY_S", 0.5)
    async with two_shards(tmp_path) as shards:
        a, b = shards.a, shards.b
        bells = [ShardDoorbell(tmp_path / f"bell-{n}", shards, await a.claim()) for n in range(2)]
        for bell in bells:
            await bell.enrol()
            await bell.start()
        accounts = [await own(a, "Ada", bells[0]), await own(a, "Bo", bells[1])]
        before = {bell.device: await rings(a, bell) for bell in bells}

        chosen = await split(shards, tmp_path, 1)
        moved = [bell for bell in bells if bell.device in chosen]
        stay = [bell for bell in bells if bell.device not in chosen]
        assert len(moved) == len(stay) == 1

        for bell in moved:
            await in_time(bell.is_refused.wait())
            missed = await bell.press()
            await in_time(bell.has_to_start_again.wait())
            await bell.stop()
            await bell.start()
            assert bell.relay_url == b.url
            await in_time(bell.is_let_in.wait())
            after = await rings(b, bell)
            told = await stored(b.relay.database, bell.device)
            assert told == [before[bell.device], missed, after]
        for bell in stay:
            assert bell.way.link.is_online
            await rings(a, bell)
            assert not bell.has_to_start_again.is_set()
            assert await stored(b.relay.database, bell.device) == []

        async with b.relay.database.read() as tx:
            found = [await people.find_account(tx, one) for one in accounts]
        assert sum(account is not None for account in found) == 1

        await can_release(moved[0], b)
        for bell in bells:
            await bell.stop()


async def can_release(bell: ShardDoorbell, shard: Shard) -> None:
    """Publish a request at the shard, and release what the doorbell's owner grants of it."""
    signed = shard.town.publish()
    await bell.follower.read()
    assert bell.follower.facts().origin == shard.town.register_log.origin
    world = make_world(shard.town.now_ms)
    world.town, world.signed_request = shard.town, signed
    world = world.with_facts(
        register=bell.follower.facts(),
        policy=bell.follower.policy,
        custody_origin=bell.follower.custody_origin,
    )
    now_ms = shard.town.now_ms
    signed_grant = world.sign(world.statement(not_after_ms=now_ms + 60 * MINUTE_MS))
    grant = judge(signed_grant, world.facts)
    assert isinstance(grant, Grant), grant
    released = world.released(grant, asked_ms=now_ms - MINUTE_MS, confirmed_ms=now_ms)
    assert isinstance(released, Release), released
    assert bell.follower.extract(signed.request_digest)


def test_a_household_is_what_owners_have_in_common() -> None:
    people = {"d1": {"ada"}, "d2": {"ada", "bo"}, "d3": {"bo"}, "d4": set(), "d5": {"cem"}}
    assert households(people) == [("d1", "d2", "d3"), ("d4",), ("d5",)]
