"""The list of an owner's events: what is in it, and for whom."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, update
from sqlalchemy.exc import DBAPIError

from firmware.protocol.encoding import new_id
from firmware.protocol.events import Event, EventBody, Motion, Note, Pressed
from relay.errors import DatabaseLost
from relay.people.sessions import Sessions
from relay.store import events, guests, thumbnails
from relay.store.audiences import rights_in
from relay.store.database import Database
from relay.store.events import LAST_MS, SLOT_NOTE, page_in
from relay.store.guests import GuestRow
from relay.store.schema import accounts
from relay.store.schema import events as rows
from relay.store.schema import thumbnails as pictures
from tests.relay.http_people import Owner, certified_officer, paired_owner
from tests.relay.http_world import World, open_world

DEVICES = ["a" * 20, "b" * 20, "c" * 20]
PASSKEY = "Y3JlZA"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


def values(device: str, relay_seq: int, body: EventBody, **changes: Any) -> dict[str, Any]:
    fields = {
        "id": new_id(),
        "device": device,
        "seq": relay_seq,
        "time_ms": relay_seq,
        "is_clock_trusted": True,
        "body": body,
    }
    event = Event(**fields)
    given = {
        "device": device,
        "relay_seq": relay_seq,
        "event_id": event.id,
        "seq": event.seq,
        "kind": str(body.__struct_config__.tag),
        "time_ms": event.time_ms,
        "is_clock_trusted": True,
        "corrected_ms": None,
        "received_ms": relay_seq,
        "credential_id": body.credential_id if isinstance(body, Note) else None,
        "payload": event.encode().decode(),
    }
    return given | changes


def a_note(credential_id: str) -> Note:
    return Note(credential_id=credential_id, browser="b" * 20, sealed="eA")


async def test_pages_of_several_doorbells_have_each_event_once_and_in_order(world: World) -> None:
    """Of two doorbells that have the same number, too; seen to fail without `before_device`."""
    told = [values(device, seq, Pressed()) for device in DEVICES for seq in range(1, 41)]
    async with world.database.begin() as tx:
        await tx.execute(insert(rows), told)
    expected = sorted(((one["relay_seq"], one["device"]) for one in told), reverse=True)
    read: list[tuple[int, str]] = []
    while True:
        before_seq, before_device = read[-1] if read else (None, "")

        def ask(snapshot: Any, seq: int | None = before_seq, device: str = before_device) -> Any:
            return page_in(
                snapshot,
                DEVICES,
                credential_ids=[],
                before_seq=seq,
                before_device=device,
                limit=7,
            )

        page = await world.database.look(ask)
        if not page:
            break
        found = [(one.relay_seq, json.loads(bytes(one.event))["device"]) for one in page]
        read += sorted(found, reverse=True)
    assert read == expected


async def test_a_page_has_neither_slots_notes_nor_those_of_others(world: World) -> None:
    own, others = a_note(PASSKEY), a_note("b3RoZXI")
    told = [
        values(DEVICES[0], 1, Pressed()),
        values(DEVICES[0], 2, own),
        values(DEVICES[0], 3, others),
        values(DEVICES[0], 4, own, kind=SLOT_NOTE),
        values(DEVICES[1], 5, Pressed()),
    ]
    async with world.database.begin() as tx:
        await tx.execute(insert(rows), told)
        page = await events.newest(tx, DEVICES[:1], credential_ids=[PASSKEY])
    assert [row.relay_seq for row in page] == [2, 1]


async def test_a_guest_reads_what_their_right_has_since_it_began(world: World) -> None:
    told = [
        values(DEVICES[0], 1, Pressed()),
        values(DEVICES[0], 3, Pressed()),
        values(DEVICES[0], 4, a_note(PASSKEY)),
        values(DEVICES[1], 5, Pressed()),
        values(DEVICES[2], 6, Pressed()),
    ]
    right = GuestRow(
        account_id="g", device=DEVICES[0], browser="B", what=("rings",), since_seq=2, until_ms=9
    )
    async with world.database.begin() as tx:
        await tx.execute(insert(rows), told)
        page = await events.newest(tx, DEVICES[1:2], credential_ids=[PASSKEY], guests=[right])
    assert [row.relay_seq for row in page] == [5, 3]


async def test_more_doorbells_than_one_query_takes_are_read_by_several(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "MAX_TOGETHER", 2)
    told = [values(device, seq, Pressed()) for device in DEVICES for seq in range(1, 9)]
    async with world.database.begin() as tx:
        await tx.execute(insert(rows), told)
        page = await events.newest(tx, DEVICES, credential_ids=[], limit=4)
    assert {(row.relay_seq, row.device) for row in page} == {
        *((8, device) for device in DEVICES),
        (7, DEVICES[2]),
    }


async def test_a_guest_at_many_doorbells_reads_all_of_them(world: World) -> None:
    letters = str.maketrans("0123456789", "defghijklm")
    many = [f"{number:020}".translate(letters) for number in range(600)]
    rights = [
        GuestRow(
            account_id="g", device=device, browser=browser, what=("rings",), since_seq=1, until_ms=9
        )
        for device in many
        for browser in ("B", "C")
    ]
    told = [values(device, place + 1, Pressed()) for place, device in enumerate(many)]
    own = values(DEVICES[0], 1000, Pressed())
    asked: dict[str, Any] = {"credential_ids": [PASSKEY], "guests": rights}
    async with world.database.begin() as tx:
        await tx.execute(insert(rows), [own, *told])
        # Seen to fail on SQLite: "too many terms in compound SELECT".
        page = await events.newest(tx, DEVICES[:1], **asked, limit=200)
        missed = await events.missed(
            tx, DEVICES[:1], **asked, after=dict.fromkeys(many, 0), limit=200
        )
        assert not await events.notes_for(tx, DEVICES[:1], **asked)
        assert len(await events.newest_heard(tx, rights)) == 600
    assert [row.relay_seq for row in page] == [1000, *range(600, 401, -1)]
    assert [row.relay_seq for row in missed] == list(range(1, 201))


async def test_an_event_from_before_a_field_is_shown_with_it(world: World) -> None:
    """Seen to fail where the stored JSON is passed on as it is."""
    told = values(DEVICES[0], 1, Pressed())
    told["payload"] = told["payload"].replace('"camera":"working",', "")
    assert "camera" not in told["payload"]
    async with world.database.begin() as tx:
        await tx.execute(insert(rows), [told])
    (one,) = await world.database.look(lambda at: page_in(at, [DEVICES[0]], credential_ids=[]))
    assert isinstance(one.event, Event)
    assert one.event.body == Pressed()


async def test_the_app_gets_pictures_and_times_with_the_events(world: World) -> None:
    device = await world.enrol()
    owner = await paired_owner(world, device)
    shown = await world.tell(device, Motion())
    plain = await world.tell(device, Pressed())
    old = await world.tell(device, Pressed())
    now_ms = world.clock.wall_ms()
    async with world.database.begin() as tx:
        for event, received_ms in ((shown, now_ms), (old, now_ms - thumbnails.LIFE_MS)):
            await tx.execute(
                insert(pictures).values(
                    event_id=event.id, device=device, received_ms=received_ms, sealed="{}"
                )
            )
    answer = await owner.get("/events")
    assert answer.headers["content-type"] == "application/json"
    listed = answer.json()["events"]
    assert {one["event"]["id"]: one["has_thumbnail"] for one in listed} == {
        shown.id: True,
        plain.id: False,
        old.id: False,
    }
    assert {one["event"]["id"]: one["event"] for one in listed} == {
        event.id: json.loads(event.encode()) for event in (shown, plain, old)
    }


async def test_what_isnt_a_request_for_the_list_is_refused_in_the_usual_words(
    world: World,
) -> None:
    device = await world.enrol()
    owner = await paired_owner(world, device)
    assert (await owner.get("/events?limit=200&before_device=")).status_code == 200
    for query in ("limit=0", "limit=201", "before_seq=-1", "before_device=x", "limit=many"):
        refused = await owner.get(f"/events?{query}")
        assert (refused.status_code, refused.json()["error"]["code"]) == (422, "invalid"), query
    assert (await owner.post("/events", {})).status_code == 405
    stranger = Owner(world)
    assert (await stranger.get("/events")).status_code == 401


async def test_without_the_database_the_app_is_told_so_in_json_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    owner = await paired_owner(world, await world.enrol())
    looks = 0

    async def away(_database: Database, _ask: object) -> object:
        nonlocal looks
        looks += 1
        raise DatabaseLost("the database doesn't answer: db1.example:5432: refused")

    monkeypatch.setattr(Database, "look", away)
    answer = await owner.get("/events")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
    # Seen to fail (2) while FastAPI's route asked again: each waits for a standby's promotion.
    assert looks == 1
    assert "db1.example" in caplog.text


async def test_nobody_outside_reads_where_the_database_is(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen to fail with the error's own words, at all three faces."""
    owner = await paired_owner(world, await world.enrol())
    officer = await certified_officer(world)

    async def away(_database: Database, _patience_s: float) -> object:
        raise DatabaseLost("the database doesn't answer: db1.example:5432: refused")

    monkeypatch.setattr(Database, "_connect", away)
    as_json, signed_in = {"Accept": "application/json"}, {"Cookie": "dw_admin=x"}
    for answer in (
        await owner.get("/doorbells"),
        await officer.http.get("/agency/requests", headers=as_json),
        await world.browser().get("/admin/agencies", headers=signed_in | as_json),
        await world.browser().get("/admin/agencies", headers=signed_in),
    ):
        assert answer.status_code == 503
        assert "database is out of reach" in answer.text
        assert "db1.example" not in answer.text


async def test_who_is_suspended_or_signed_out_reads_nothing_from_then_on(world: World) -> None:
    """Another relay of the same database may have done it. Seen to fail with a session that is
    kept in memory from one request to the next."""
    device = await world.enrol()
    owner = await paired_owner(world, device)
    assert (await owner.get("/events")).status_code == 200
    async with world.database.begin() as tx:
        await tx.execute(update(accounts).values(suspended_ms=1, suspended_by="relay"))
    assert (await owner.get("/events")).status_code == 401
    async with world.database.begin() as tx:
        await tx.execute(update(accounts).values(suspended_ms=None, suspended_by=None))
    assert (await owner.get("/events")).status_code == 200
    (own,) = [row async for row in _accounts(world)]
    await Sessions(world.database, world.clock).end_all(own)
    assert (await owner.get("/events")).status_code == 401


async def _accounts(world: World) -> AsyncIterator[str]:
    async with world.database.read() as tx:
        for row in await tx.execute(accounts.select().where(accounts.c.role == "owner")):
            yield row.id


async def test_rights_are_those_of_the_doorbells_passkeys_and_guests(world: World) -> None:
    own, seen, gone = [await world.enrol() for _ in range(3)]
    owner = await paired_owner(world, own)
    (account_id,) = [row async for row in _accounts(world)]
    async with world.database.begin() as tx:
        for device, until_ms in ((seen, LAST_MS), (gone, 1), (own, LAST_MS)):
            await guests.add(
                tx,
                GuestRow(
                    account_id=account_id,
                    device=device,
                    browser="B",
                    what=("rings", "live"),
                    since_seq=3,
                    until_ms=until_ms,
                ),
            )
    rights = await world.database.look(
        lambda at: rights_in(at, account_id, now_ms=world.clock.wall_ms())
    )
    assert rights.own == {own}
    assert rights.credential_ids == {owner.passkey.key.credential_id}
    assert [(one.device, one.what, one.since_seq) for one in rights.guests] == [
        (seen, ("rings", "live"), 3)
    ]


async def test_nothing_is_written_while_somebody_looks(world: World) -> None:
    with pytest.raises(DBAPIError):
        await world.database.look(lambda at: at.execute(insert(rows), [values("a", 1, Pressed())]))
    assert await world.database.look(lambda at: page_in(at, ["a"], credential_ids=[])) == []
