"""A guest's account on the relay: signalling, pictures and events of one doorbell since they came.

The doorbell enforces the right; what a relay gives to whom is tried here. Each test was seen to
fail with the check that it names taken out.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from firmware.protocol.encoding import new_id
from firmware.protocol.events import (
    ClipReady,
    EventBody,
    GuestGone,
    GuestLet,
    Note,
    Pressed,
    Trouble,
)
from firmware.protocol.pairing import SignedPairingAnswer
from firmware.protocol.rights import What
from relay.store import events, routing
from relay.store.events import EventRow
from tests.attacks.test_nobody_reaches_anothers_things import Case, routes_of
from tests.relay.event_pictures import picture_of, sealed_for
from tests.relay.http_people import Owner, paired_owner
from tests.relay.http_world import API, World, open_world

OPEN_TO_GUESTS = {
    ("GET", "ice"),
    ("POST", "nonce"),
    ("POST", "offer"),
    ("POST", "orders"),
    ("POST", "sessions/{session_id}/candidates"),
    ("DELETE", "sessions/{session_id}"),
    ("GET", "thumbnails/{event_id}"),
    ("DELETE", ""),  # leaving is one's own
}
WEEK_MS = 7 * 24 * 3600 * 1000


@dataclass
class Home:
    """A doorbell with an owner, and a guest who came after the first ring."""

    world: World
    device: str
    owner: Owner
    guest: Owner
    before: str
    """The ring from before the guest's time."""

    async def let(self, guest: Owner, *what: What, until_ms: int | None = None) -> None:
        await let_in(self.world, self.device, guest, what, until_ms=until_ms)

    async def events(self, who: Owner) -> set[str]:
        return {told["event"]["id"] for told in (await who.get("/events")).json()["events"]}

    async def tell(self, body: EventBody) -> str:
        return (await self.world.tell(self.device, body)).id


async def committed(world: World, device: str, body: EventBody) -> EventRow:
    event = await world.tell(device, body)
    async with world.database.read() as tx:
        return (await events.known(tx, [(event.device, event.seq, event.id)]))[event.id]


async def let_in(
    world: World,
    device: str,
    guest: Owner,
    what: tuple[What, ...],
    *,
    until_ms: int | None = None,
    answered_by: str | None = None,
) -> None:
    pairing_id = new_id()
    await guest.post("/pairings", {"pairing_id": pairing_id})
    async with world.database.begin() as tx:
        await routing.answer_pairing(
            tx,
            pairing_id,
            SignedPairingAnswer(answer="{}", signature="AAAAAAAAAAAA"),
            device=answered_by or device,
            now_ms=world.clock.wall_ms(),
        )
    let = GuestLet(
        pairing_id=pairing_id,
        browser=guest.browser.keys.id,
        what=sorted(what),
        until_ms=until_ms or world.clock.wall_ms() + WEEK_MS,
    )
    await world.pairings.take_guest(device, await committed(world, device, let), let)


@pytest.fixture
async def home(tmp_path) -> AsyncIterator[Home]:
    async with open_world(tmp_path) as world:
        device = await world.enrol()
        owner = await paired_owner(world, device)
        guest = Owner(world, "Gus")
        await guest.register()
        before = (await world.tell(device, Pressed())).id
        yield Home(world=world, device=device, owner=owner, guest=guest, before=before)


async def test_a_guest_hears_of_rings_since_they_came_and_of_nothing_else(home: Home) -> None:
    """Seen to fail without `since_seq` in `_of_guest`, and without its kinds."""
    await home.let(home.guest, "live", "rings")
    rang = await home.tell(Pressed())
    hidden = {
        home.before,
        await home.tell(Trouble(code="camera", is_over=False, detail="x")),
        await home.tell(
            ClipReady(
                clip_id=new_id(),
                manifest_digest="ab" * 32,
                trigger_event_id=rang,
                started_ms=1,
                duration_ms=1000,
                pre_roll_ms=0,
                is_cut_short=False,
            )
        ),
    }
    seen = await home.events(home.guest)
    assert rang in seen
    assert not hidden & seen
    assert hidden <= await home.events(home.owner)


async def test_without_rings_a_guest_hears_of_none(home: Home) -> None:
    """Seen to fail with the kinds of all parts in `_kinds_of`."""
    await home.let(home.guest, "live")
    rang = await home.tell(Pressed())
    await picture_of(home.world, home.device, rang, sealed_for(home.guest.browser.keys))
    assert rang not in await home.events(home.guest)
    picture = f"/doorbells/{home.device}/thumbnails/{rang}?browser={home.guest.browser.keys.id}"
    assert (await home.guest.get(picture)).status_code == 404


async def test_a_guest_gets_the_notes_of_their_own_browser_alone(home: Home) -> None:
    """Seen to fail without the browser in `is_guests`."""
    await home.let(home.guest, "live")
    credential_id, own = home.owner.passkey.key.credential_id, home.guest.browser.keys.id
    mine = await home.tell(Note(credential_id=credential_id, browser=own, sealed="eA"))
    theirs = home.owner.browser.keys.id
    await home.tell(Note(credential_id=credential_id, browser=theirs, sealed="eA"))
    told = (await home.guest.get(f"/notes?browser={own}")).json()["events"]
    assert [one["event"]["id"] for one in told] == [mine]
    assert (await home.guest.get(f"/notes?browser={theirs}")).json()["events"] == []
    assert mine not in await home.events(home.guest)  # notes are read by /notes alone


async def test_every_route_of_a_doorbell_is_closed_to_a_guest_but_these(home: Home) -> None:
    """Seen to fail with `SeenDoorbell` in place of `OwnDoorbell` at statements.

    A route that is added is an owner's, unless it stands on the list above.
    """
    await home.let(home.guest, "history", "live", "rings")
    ids = {
        "device": home.device,
        "browser": home.guest.browser.keys.id,
        "session_id": new_id(),
        "event_id": home.before,
    }
    case = Case(home.world, home.owner, None, {**ids, "pairing_id": new_id()}, home.guest, None)  # type: ignore[arg-type]  # no officer takes part
    prefix = f"{API}/doorbells/{{device}}"
    closed = 0
    for method, path in sorted(set(routes_of(home.world.app))):
        name = (method, path.removeprefix(prefix).lstrip("/"))
        if path.startswith(prefix) and name not in OPEN_TO_GUESTS:
            answer = await case.ask(home.guest.http, (method, path), ids)
            assert answer.status_code == 404, (name, answer.status_code)
            closed += 1
    assert closed >= 6
    (shown,) = (await home.guest.get("/doorbells")).json()["doorbells"]
    assert (shown["health"], shown["troubles"]) == (None, [])
    assert (await home.guest.get(f"/doorbells/{home.device}/ice")).status_code == 200


async def test_a_guest_of_one_doorbell_reaches_no_other(home: Home) -> None:
    """Seen to fail with the account taken out of `of_account`."""
    other = await home.world.enrol()
    await paired_owner(home.world, other, "Bo")
    await home.let(home.guest, "live", "rings")
    rang = (await home.world.tell(other, Pressed())).id
    assert rang not in await home.events(home.guest)
    assert (await home.guest.get(f"/doorbells/{other}/ice")).status_code == 404
    stranger = Owner(home.world, "Eve")
    await stranger.register()
    assert (await stranger.get(f"/doorbells/{home.device}/ice")).status_code == 404
    assert (await stranger.get("/doorbells")).json()["doorbells"] == []


@pytest.mark.parametrize("how", ["time", "gone"])
async def test_the_end_of_a_right_ends_the_guests_routing(home: Home, how: str) -> None:
    """Seen to fail without `until_ms` in `of_account`, and without `take_guest_gone`."""
    await home.let(home.guest, "live", "rings")
    if how == "time":
        home.world.clock.advance(WEEK_MS / 1000)
        await home.guest.log_in()
    else:
        gone = GuestGone(browser=home.guest.browser.keys.id)
        row = await committed(home.world, home.device, gone)
        await home.world.pairings.take_guest_gone(home.device, row, gone)
    await home.tell(Pressed())
    assert await home.events(home.guest) == set()
    assert (await home.guest.get(f"/doorbells/{home.device}/ice")).status_code == 404


async def test_a_doorbell_links_no_account_that_pairs_with_another(home: Home) -> None:
    """Seen to fail without the device in `pairing_account`."""
    evil = await home.world.enrol()
    await let_in(home.world, evil, home.guest, ("live",), answered_by=home.device)
    assert (await home.guest.get("/doorbells")).json()["doorbells"] == []


async def test_an_old_event_that_comes_again_lets_nobody_back_in(home: Home) -> None:
    """Seen to fail without the last word in `take_guest`."""
    pairing_id, browser = new_id(), home.guest.browser.keys.id
    await home.guest.post("/pairings", {"pairing_id": pairing_id})
    async with home.world.database.begin() as tx:
        await routing.answer_pairing(
            tx,
            pairing_id,
            SignedPairingAnswer(answer="{}", signature="AAAAAAAAAAAA"),
            device=home.device,
            now_ms=home.world.clock.wall_ms(),
        )
    until_ms = home.world.clock.wall_ms() + WEEK_MS
    let = GuestLet(pairing_id=pairing_id, browser=browser, what=["live"], until_ms=until_ms)
    row = await committed(home.world, home.device, let)
    await home.world.pairings.take_guest(home.device, row, let)
    assert len((await home.guest.get("/doorbells")).json()["doorbells"]) == 1
    gone = GuestGone(browser=browser)
    gone_row = await committed(home.world, home.device, gone)
    await home.world.pairings.take_guest_gone(home.device, gone_row, gone)
    await home.world.pairings.take_guest(home.device, row, let)
    assert (await home.guest.get("/doorbells")).json()["doorbells"] == []


async def test_an_owner_invites_guests_at_a_rate_and_nobody_else_does(home: Home) -> None:
    path = f"/doorbells/{home.device}/invitations"
    assert (await home.guest.post(path, {})).status_code == 404
    codes = [(await home.owner.post(path, {})).status_code for _ in range(6)]
    assert codes == [201] * 5 + [429]
