"""Requests and outcomes after a restore: what is public by then doesn't happen a second time."""

from pathlib import Path

import pytest

from firmware.protocol.custody import CustodyLeaf
from firmware.protocol.register.entries import RequestLeaf
from firmware.protocol.requests import SignedRequest, parse_request
from relay.config.settings import Config
from relay.custody.entries import outcome_key
from relay.store import logs as rows
from relay.store import moderation, outcomes, people, requests
from relay.store.database import Database, Transaction
from relay.store.moderation import Appeal
from relay.store.people import Account
from relay.store.requests import Cosigned, Draft, RequestRow
from tests.fakes.log_town import Town, make_town
from tests.fakes.lost_relay import LosableRelay, make_relay
from tests.fakes.outcomes import outcome_in


@pytest.fixture
async def relay(tmp_path: Path) -> LosableRelay:
    return await make_relay(tmp_path)


@pytest.fixture(scope="module")
def town() -> Town:
    return make_town()


async def put_officer(tx: Transaction, town: Town) -> None:
    account = Account(id=town.officer.id, role="officer", agency="lakeland-police", name="Olga")
    await people.add_account(tx, account, 1)


async def put_request(tx: Transaction, signed: SignedRequest, state: str) -> None:
    """Have a request come as far as this state."""
    request = parse_request(signed)
    draft = Draft(request=signed.request, assertion=signed.assertion, officer=signed.officer)
    await requests.add_draft(
        tx,
        draft,
        request,
        account_id=request.officer_id,
        digest=signed.request_digest,
        now_ms=1,
    )
    if state != "waiting":
        cosigned = Cosigned(cosignature=signed.cosignature, cosigner=signed.cosigner)
        await requests.set_cosigned(tx, request.id, cosigned, 2)
    if state == "passed":
        await requests.set_state(tx, request.id, "passed", 3)
    if state == "refused":
        await requests.set_state(tx, request.id, "refused", 3, category="other", why="No.")
        await moderation.add_appeal(
            tx,
            Appeal(
                request_id=request.id,
                account_id=request.officer_id,
                text="Yes.",
                appealed_ms=4,
                decided_ms=None,
            ),
        )


async def found_again(
    config: Config, signed: SignedRequest
) -> tuple[RequestRow | None, Account | None, int]:
    """Return a request's row, its officer's account, and how many appeals wait."""
    request = parse_request(signed)
    database = await Database.open(config.database)
    try:
        async with database.read() as tx:
            return (
                await requests.find_request(tx, request.id),
                await people.find_account(tx, request.officer_id),
                len(await moderation.list_appeals(tx, limit=10)),
            )
    finally:
        await database.close()


def entry_of(town: Town, signed: SignedRequest) -> str:
    return town.next_entry(RequestLeaf(signed=signed)).decode()


@pytest.mark.parametrize("state", ["waiting", "moderation", "passed", "refused"])
async def test_a_request_that_was_published_after_the_backup_waits_nowhere(
    relay: LosableRelay, tmp_path: Path, town: Town, state: str
) -> None:
    """Else a moderator would pass it a second time, and what comes for it would be refused."""
    signed = town.sign(town.request())
    async with relay.running() as (database, _), database.begin() as tx:
        await put_officer(tx, town)
        await put_request(tx, signed, state)
    await relay.back_up(tmp_path / "backup")
    await relay.publish(entry_of(town, signed), log="register")
    relay.lose_machine()
    restored = await relay.restore(tmp_path / "backup", tmp_path / "new")
    row, _, appeals = await found_again(restored.config, signed)
    assert row is not None
    assert (row.state, row.signed, row.category, appeals) == ("logged", signed, None, 0)


@pytest.mark.parametrize("is_known", [True, False])
async def test_a_request_of_after_the_backup_has_a_row_again(
    relay: LosableRelay, tmp_path: Path, town: Town, is_known: bool
) -> None:
    """Else it would be open for everybody, and no recording for it would be taken."""
    signed = town.sign(town.request())
    if is_known:
        async with relay.running() as (database, _), database.begin() as tx:
            await put_officer(tx, town)
    await relay.back_up(tmp_path / "backup")
    await relay.publish(entry_of(town, signed), log="register")
    relay.lose_machine()
    restored = await relay.restore(tmp_path / "backup", tmp_path / "new")
    row, officer, _ = await found_again(restored.config, signed)
    assert row is not None
    assert (row.state, row.signed, row.digest) == ("logged", signed, signed.request_digest)
    assert officer is not None
    assert (officer.suspended_ms is None) is is_known  # who isn't known doesn't get in by that


@pytest.mark.parametrize("is_known", [True, False])
async def test_an_outcome_of_after_the_backup_is_filed(
    relay: LosableRelay, tmp_path: Path, town: Town, is_known: bool
) -> None:
    """Else its agency would owe it, and could never file it: the log has one under its name."""
    signed = town.sign(town.request())
    leaf = outcome_in(town, signed, "used")
    if is_known:
        async with relay.running() as (database, _), database.begin() as tx:
            await put_officer(tx, town)
    await relay.back_up(tmp_path / "backup")
    await relay.publish(CustodyLeaf(body=leaf).encode().decode())
    relay.lose_machine()
    restored = await relay.restore(tmp_path / "backup", tmp_path / "new")
    database = await Database.open(restored.config.database)
    async with database.read() as tx:
        filed = await outcomes.find_outcome(tx, signed.request_digest)
        named = await rows.find_by_key(tx, "custody", outcome_key(signed.request_digest))
    await database.close()
    assert filed is not None
    assert (filed.signed, filed.private_text) == (leaf.signed, "")
    assert named is not None
