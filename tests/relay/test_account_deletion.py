"""An account that deletes itself leaves nothing that names it; doorbells, packages, logs stay."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from firmware.protocol.commands import SealedStatement
from firmware.protocol.custody import package_commitment
from firmware.protocol.encoding import b64u, new_id
from firmware.protocol.events import (
    EventBody,
    GuestLet,
    Note,
    OwnerGone,
    PackageWithdrawn,
    Paired,
    Pressed,
    PushMessage,
    PushWanted,
)
from relay.ingest.carried_events import passkey_of, unknown_passkeys
from relay.store import commands as command_rows
from relay.store import guests, people, push, routing
from relay.store.database import Database
from relay.store.schema import accounts, metadata
from tests.fakes.door_notices import NoticeWriter
from tests.relay.door_notices import carry_event
from tests.relay.evidence_packages import deliver_package
from tests.relay.http_people import Owner, certified_officer, paired_owner
from tests.relay.http_world import API, World, open_world

FILL_UP = {
    "sqlite": """
        CREATE TRIGGER no_space BEFORE DELETE ON accounts
        BEGIN SELECT RAISE(ABORT, 'no space left'); END
    """,
    "postgresql": """
        DO $$BEGIN
            CREATE FUNCTION no_space() RETURNS trigger LANGUAGE plpgsql
            AS 'BEGIN RAISE ''no space left''; END';
            CREATE TRIGGER no_space BEFORE DELETE ON accounts
            FOR EACH ROW EXECUTE FUNCTION no_space();
        END$$
    """,
}
EMPTY = {"sqlite": "DROP TRIGGER no_space", "postgresql": "DROP FUNCTION no_space CASCADE"}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


async def dump(database: Database) -> dict[str, list[str]]:
    """Return every row of every table as text."""
    found = {}
    async with database.read() as tx:
        for table in metadata.sorted_tables:
            rows = (await tx.execute(select(table))).all()
            found[table.name] = [repr(tuple(row)) for row in rows]
    return found


async def account_of(database: Database) -> str:
    """Return the only owner's account."""
    async with database.read() as tx:
        query = select(accounts.c.id).where(accounts.c.role == "owner")
        return str((await tx.execute(query)).scalar_one())


async def confirm(owner: Owner, by: Owner | None = None) -> dict[str, Any]:
    """Return the body of a deletion, signed by a fresh passkey."""
    begun = (await owner.post("/account/deletion/options", {})).json()
    credential = (by or owner).passkey.log_in(begun["options"])
    return {"session": begun["session"], "credential": credential}


async def delete(owner: Owner) -> httpx2.Response:
    return await owner.post("/account/deletion", await confirm(owner))


def endpoint_of(owner: Owner) -> str:
    return f"https://push.test/{owner.name.split()[0]}-secret"


async def settle_in(world: World, device: str, owner: Owner) -> None:
    """Leave as many traces of an owner at the relay as there can be."""
    browser, credential_id = owner.browser.keys.id, owner.passkey.key.credential_id
    await owner.log_in()
    await owner.put(f"/session/browser/{browser}", {})
    pushed = await owner.put(
        f"/push/{browser}", {"endpoint": endpoint_of(owner), "expires_ms": None}
    )
    assert pushed.is_success, pushed.text
    await owner.put(f"/doorbells/{device}/viewers/{'b' * 20}", {})
    await owner.post("/pairings", {"pairing_id": new_id()})
    await world.tell(device, Paired(pairing_id=new_id(), credential_id=credential_id))
    await world.tell(device, OwnerGone(credential_id=credential_id))
    await world.tell(device, Paired(pairing_id=new_id(), credential_id=credential_id))
    note = Note(credential_id=credential_id, browser=browser, sealed=b64u(bytes(40)))
    await world.tell(device, note)
    await owner.post("/account/deletion/options", {})  # begun, and left there
    ring = await world.tell(device, Pressed())
    wanted = PushWanted(
        for_event_id=ring.id,
        expires_ms=world.clock.wall_ms() + 60_000,
        messages=[PushMessage(browser=browser, encrypted=b64u(bytes(100)))],
    )
    async with world.database.begin() as tx:
        await push.queue(
            tx, device, new_id(), wanted, now_ms=world.clock.wall_ms(), expires_ms=wanted.expires_ms
        )


def names_of(owner: Owner) -> list[str]:
    return [
        owner.name,
        owner.passkey.key.credential_id,
        owner.passkey.key.public_key,
        owner.browser.keys.id,
        endpoint_of(owner),
    ]


async def test_nothing_in_the_database_names_a_deleted_account(world):
    device = await world.enrol()
    ada = await paired_owner(world, device, "Ada Quirk")
    bo = await paired_owner(world, device, "Bo Zander")
    await settle_in(world, device, ada)
    await settle_in(world, device, bo)
    before = await dump(world.database)
    for name in names_of(ada):
        assert any(name in row for rows in before.values() for row in rows), name
    answer = await delete(ada)
    assert answer.status_code == 200, answer.text
    after = await dump(world.database)
    for name in names_of(ada):
        assert [(table, row) for table, rows in after.items() for row in rows if name in row] == []
    for name in names_of(bo):
        kept = {table: sum(name in row for row in rows) for table, rows in after.items()}
        was = {table: sum(name in row for row in rows) for table, rows in before.items()}
        assert kept == was, "another account loses nothing"
    deleted = answer.json()["deleted"]
    for what in ("sessions", "passkeys", "push_subscriptions", "notes", "accounts"):
        assert deleted[what] >= 1, what
    assert deleted["waiting_pushes"] == 1
    assert deleted["player_tokens"] == 1
    assert deleted["events_that_name_you"] == 3


async def test_notes_of_a_doorbell_that_another_shard_had_go_after_its_owner_left(world):
    device = await world.enrol()
    ada = await paired_owner(world, await world.enrol(), "Ada Quirk")
    account_id = await account_of(world.database)
    async with world.database.begin() as tx:
        await routing.link(tx, account_id, device)  # by the move: its pairing was another shard's
    credential_id = ada.passkey.key.credential_id
    note = Note(credential_id=credential_id, browser="b" * 20, sealed=b64u(bytes(40)))
    await world.tell(device, note)
    async with world.database.begin() as tx:
        await routing.unlink(tx, account_id, device)
        assert await routing.list_once_linked(tx, account_id) == [device]
    said = (await ada.get("/account/deletion")).json()["deleted"]["notes"]
    deleted = (await delete(ada)).json()["deleted"]["notes"]
    assert (said, deleted) == (1, 1)
    # Seen to fail (the note stays) if `unlink` leaves nothing behind.
    rows = [row for rows in (await dump(world.database)).values() for row in rows]
    assert not [row for row in rows if credential_id in row]


async def test_the_last_owners_notice_for_passers_by_goes_and_comes_back_no_more(world):
    device, writer = await world.enrol(), NoticeWriter()
    ada = await paired_owner(world, device, "Ada Quirk")
    bo = await paired_owner(world, device, "Bo Zander")

    def tell(device: str) -> EventBody:
        return writer.tell(device, contact="Ask Ada Quirk")

    await carry_event(world, device, tell)
    await ada.log_in()
    await bo.log_in()
    assert (await delete(bo)).json()["deleted"]["notices_for_passers_by"] == 0
    assert any("Ask Ada Quirk" in row for row in (await dump(world.database))["door_notices"])
    assert (await delete(ada)).json()["deleted"]["notices_for_passers_by"] == 1
    await carry_event(world, device, tell)
    assert (await dump(world.database))["door_notices"] == []


async def test_what_the_doorbell_says_of_it_afterwards_is_not_kept(world):
    device = await world.enrol()
    ada = await paired_owner(world, device, "Ada Quirk")
    bo = await paired_owner(world, device, "Bo Zander")
    await delete(ada)
    gone, there = ada.passkey.key.credential_id, bo.passkey.key.credential_id
    for credential_id, is_dropped in ((gone, True), (there, False)):
        for body in (
            OwnerGone(credential_id=credential_id),
            Note(credential_id=credential_id, browser="b" * 20, sealed=b64u(bytes(40))),
        ):
            told = await world.tell(device, Pressed())
            replaced = type(told)(**{**_fields(told), "body": body})
            async with world.database.begin() as tx:
                unknown = await unknown_passkeys(tx, [replaced])
            assert (passkey_of(replaced) in unknown) is is_dropped


def _fields(told: Any) -> dict[str, Any]:
    return {name: getattr(told, name) for name in told.__struct_fields__}


async def test_what_is_going_to_happen_is_said_before_and_changes_nothing(world):
    device = await world.enrol()
    ada = await paired_owner(world, device, "Ada Quirk")
    before = await dump(world.database)
    said = (await ada.get("/account/deletion")).json()
    assert said["deleted"]["passkeys"] == 1
    assert said["doorbells"] == [
        {"device": device, "other_accounts": 0, "releases": [], "packages": []}
    ]
    after = await dump(world.database)
    assert {k: v for k, v in after.items() if k != "sessions"} == {
        k: v for k, v in before.items() if k != "sessions"
    }


async def test_the_receipt_has_the_codes_of_what_agencies_have_and_still_owe(world):
    device = await world.enrol()
    ada = await paired_owner(world, device)
    await paired_owner(world, device, "Bo")
    officer = await certified_officer(world)
    request = (await officer.publish(officer.sign(officer.write()))).json()
    package_id = await deliver_package(world, request["id"], device=device, download_by=officer)
    await world.delivery.take_withdrawn(device, PackageWithdrawn(package_id=package_id))
    world.clock.advance(15 * 60)
    receipt = (await delete(ada)).json()
    assert receipt["kind"] == "doorward/account-deletion"
    assert receipt["deleted_ms"] == world.clock.wall_ms()
    (door,) = receipt["doorbells"]
    assert (door["device"], door["other_accounts"]) == (device, 1)
    (package,) = door["packages"]
    assert package["code"] == package_commitment(package_id)
    assert (package["agency"], package["is_answered"]) == ("lakeland", False)
    assert package["answer_by_ms"] > world.clock.wall_ms()
    after = await dump(world.database)
    assert len(after["packages"]) == 1, "what an agency has is not the account's to delete"
    assert len(after["deletions"]) == 1


async def test_statements_that_wait_for_the_doorbell_stay_until_it_answers(world):
    device = await world.enrol()
    ada = await paired_owner(world, device)
    sent = await ada.post(f"/doorbells/{device}/statements", {"sealed": b64u(bytes(64))})
    assert sent.status_code == 202
    assert (await delete(ada)).status_code == 200
    assert await world.told(device) == [SealedStatement(sealed=b64u(bytes(64)))]
    async with world.database.read() as tx:
        assert await command_rows.get(tx, sent.json()["command_id"]) is not None


async def test_a_session_alone_deletes_nothing(world):
    """Nor does another's passkey, nor a check that was made for another session."""
    device = await world.enrol()
    ada, bo = await paired_owner(world, device), await paired_owner(world, device, "Bo")
    by_another = await ada.post("/account/deletion", await confirm(ada, by=bo))
    assert (by_another.status_code, by_another.json()["error"]["code"]) == (403, "passkey")
    begun = (await bo.post("/account/deletion/options", {})).json()
    body = {"session": begun["session"], "credential": ada.passkey.log_in(begun["options"])}
    assert (await ada.post("/account/deletion", body)).status_code == 400
    login = (await ada.http.post(f"{API}/owner/login/options", json={})).json()
    body = {"session": login["session"], "credential": ada.passkey.log_in(login["options"])}
    assert (await ada.post("/account/deletion", body)).status_code == 400
    assert (await ada.get("/doorbells")).status_code == 200


async def test_a_confirmation_counts_once_and_a_repeated_one_finds_nobody(world):
    device = await world.enrol()
    ada = await paired_owner(world, device)
    body = await confirm(ada)
    assert (await ada.post("/account/deletion", body)).status_code == 200
    before = await dump(world.database)
    again = await ada.post("/account/deletion", body)
    assert (again.status_code, again.json()["error"]["code"]) == (401, "unauthenticated")
    assert (await ada.get("/account/deletion")).status_code == 401
    assert await dump(world.database) == before


async def test_one_that_breaks_off_half_way_deletes_nothing(world):
    """The database refuses the last of its deletions, as a full disk or a lost line would."""
    device = await world.enrol()
    ada = await paired_owner(world, device, "Ada Quirk")
    await settle_in(world, device, ada)
    body = await confirm(ada)
    before = await dump(world.database)

    async with world.database.begin() as tx:
        await tx.execute(text(FILL_UP[tx.dialect.name]))
    with pytest.raises(DBAPIError):
        await ada.post("/account/deletion", body)
    async with world.database.begin() as tx:
        await tx.execute(text(EMPTY[tx.dialect.name]))
    after = await dump(world.database)
    for table in ("ceremonies", "credentials"):  # the check was made, and its counter went on
        before.pop(table)
        after.pop(table)
    assert after == before
    assert (await delete(ada)).status_code == 200


async def test_a_guest_deletes_their_account_too(world):
    device = await world.enrol()
    await paired_owner(world, device, "Ada")
    gus = Owner(world, "Gus Plover")
    await gus.register()
    pairing_id = new_id()
    await gus.post("/pairings", {"pairing_id": pairing_id})
    let = GuestLet(
        pairing_id=pairing_id,
        browser=gus.browser.keys.id,
        what=["live"],
        until_ms=world.clock.wall_ms() + 60_000,
    )
    async with world.database.begin() as tx:
        await routing.finish_pairing(tx, pairing_id, device=device)
        await guests.add(
            tx,
            guests.GuestRow(
                account_id=(await _account_id(tx, gus)),
                device=device,
                browser=let.browser,
                what=("live",),
                since_seq=0,
                until_ms=let.until_ms,
            ),
        )
    await world.tell(device, let)
    ada = b64u(b"the owner who let them in")
    note = Note(credential_id=ada, browser=let.browser, sealed=b64u(bytes(40)))
    await world.tell(device, note)
    receipt = (await delete(gus)).json()
    assert receipt["deleted"]["guest_rights"] == 1
    assert receipt["doorbells"] == [], "a guest is told nothing of the owners' releases"
    after = await dump(world.database)
    for name in (gus.name, gus.passkey.key.credential_id, gus.browser.keys.id):
        assert [row for rows in after.values() for row in rows if name in row] == []


async def _account_id(tx: Any, owner: Owner) -> str:
    found = await people.find_credential(tx, owner.passkey.key.credential_id)
    assert found is not None
    return found.account_id
