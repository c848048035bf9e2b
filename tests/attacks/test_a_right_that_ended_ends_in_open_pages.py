"""A page that stays open hears nothing more once its right is over: no right lives in a stream.

All in which somebody ends a right were seen to fail without `change_audience` in the database, and
without `is_unsure` in `_Page.must_look`; those in which a time is over without its second half.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from firmware.protocol.encoding import new_id
from firmware.protocol.events import EventBody, GuestGone, GuestLet, Note, OwnerGone, Pressed
from firmware.protocol.pairing import SignedPairingAnswer
from firmware.protocol.rights import What
from relay.api.cursors import read_cursors, write_cursors
from relay.api.stream import LOOK_MS
from relay.people.account_deletion import AccountDeletion
from relay.people.sessions import Sessions
from relay.store import events, fleet, people, reads, routing
from relay.store.events import EventRow
from tests.fakes.waiting import PATIENCE_S
from tests.relay.http_people import Owner, account_of, paired_owner
from tests.relay.http_world import HOUR_MS, RELAY_URL, World, open_world
from tests.relay.open_pages import data_of, id_of, is_hello, name_of, own_page

MOST_FRAMES = 50
QUIET_LOOKS, LOOK_S = 50, 0.02


@dataclass
class Home:
    """A doorbell with an owner, and a guest who hears of rings for an hour."""

    world: World
    device: str
    owner: Owner
    guest: Owner

    async def committed(self, body: EventBody) -> EventRow:
        event = await self.world.tell(self.device, body)
        async with self.world.database.read() as tx:
            return (await events.known(tx, [(event.device, event.seq, event.id)]))[event.id]

    async def let(self, what: list[What]) -> None:
        """Let the guest in, or change their right."""
        pairing_id = new_id()
        await self.guest.post("/pairings", {"pairing_id": pairing_id})
        answer = SignedPairingAnswer(answer="{}", signature="AAAAAAAAAAAA")
        now_ms = self.world.clock.wall_ms()
        async with self.world.database.begin() as tx:
            await routing.answer_pairing(tx, pairing_id, answer, device=self.device, now_ms=now_ms)
        let = GuestLet(
            pairing_id=pairing_id,
            browser=self.guest.browser.keys.id,
            what=what,
            until_ms=now_ms + HOUR_MS,
        )
        await self.world.pairings.take_guest(self.device, await self.committed(let), let)


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    async with open_world(tmp_path) as world:
        device = await world.enrol()
        owner = await paired_owner(world, device)
        guest = Owner(world, "Gus")
        await guest.register()
        home = Home(world=world, device=device, owner=owner, guest=guest)
        await home.let(["rings"])
        yield home


async def rest_of(said: AsyncIterator[str]) -> list[str]:
    """Return what a stream says until it ends or says nothing more for now."""
    frames: list[str] = []
    while len(frames) < MOST_FRAMES:
        waiting = asyncio.ensure_future(anext(said, None))
        for _ in range(QUIET_LOOKS):  # on a machine that stands still no look is over meanwhile
            await asyncio.wait([waiting], timeout=LOOK_S)
            if waiting.done():
                break
        else:
            waiting.cancel()
            return frames
        frame = waiting.result()
        if frame is None:
            return [*frames, "end"]
        frames.append(frame)
    return frames


async def ring_is_told(home: Home, said: AsyncIterator[str]) -> None:
    ring = await home.world.tell(home.device, Pressed())
    async with asyncio.timeout(PATIENCE_S):
        assert data_of(await anext(said))["event"]["id"] == ring.id


async def sign_out(home: Home) -> None:
    await home.owner.delete("/session")


async def sign_out_everywhere(home: Home) -> None:
    await home.owner.delete("/sessions")


async def end_that_session(home: Home) -> None:
    other = (await home.owner.get("/sessions")).json()["sessions"][0]["id"]
    sessions = Sessions(home.world.database, home.world.clock)
    assert await sessions.end_one(await account_of(home.world, home.owner), other)


async def lose_the_phone(home: Home) -> None:
    browser = home.owner.browser.keys.id
    await home.owner.put(f"/session/browser/{browser}", {})
    await home.owner.delete(f"/browsers/{browser}")


async def be_suspended(home: Home) -> None:
    account_id = await account_of(home.world, home.owner)
    async with home.world.database.begin() as tx:
        await reads.suspend_account(tx, account_id, home.world.clock.wall_ms())


async def delete_the_account(home: Home) -> None:
    account_id = await account_of(home.world, home.owner)
    async with home.world.database.read() as tx:
        account = await people.find_account(tx, account_id)
    assert account is not None
    deletion = AccountDeletion(home.world.database, home.world.clock, relay_url=RELAY_URL)
    assert await deletion.delete(account) is not None


@pytest.mark.parametrize(
    "end",
    [
        sign_out,
        sign_out_everywhere,
        end_that_session,
        lose_the_phone,
        be_suspended,
        delete_the_account,
    ],
)
async def test_a_session_that_ended_ends_the_stream_before_its_next_word(
    home: Home, end: Callable[[Home], Awaitable[None]]
) -> None:
    said = await own_page(home.world, home.owner)
    assert is_hello(await anext(said))
    await ring_is_told(home, said)
    await home.world.tell(home.device, Pressed())  # waits in the stream's queue
    await end(home)
    await home.world.tell(home.device, Pressed())
    assert await rest_of(said) == ["end"]


async def gone_by_the_doorbells_word(home: Home) -> None:
    gone = GuestGone(browser=home.guest.browser.keys.id)
    await home.world.pairings.take_guest_gone(home.device, await home.committed(gone), gone)


async def the_doorbell_is_revoked(home: Home) -> None:
    async with home.world.database.begin() as tx:
        assert await fleet.revoke(tx, home.device, revoked_ms=home.world.clock.wall_ms())


async def the_guest_leaves(home: Home) -> None:
    await home.guest.delete(f"/doorbells/{home.device}")


async def the_time_is_over(home: Home) -> None:
    """Nobody says so: the stream knows when."""
    home.world.clock.set_wall_ms(home.world.clock.wall_ms() + HOUR_MS)


@pytest.mark.parametrize(
    "end",
    [gone_by_the_doorbells_word, the_doorbell_is_revoked, the_guest_leaves, the_time_is_over],
)
async def test_a_guest_who_is_none_any_more_hears_nothing_in_an_open_page(
    home: Home, end: Callable[[Home], Awaitable[None]]
) -> None:
    said = await own_page(home.world, home.guest)
    assert is_hello(await anext(said))
    await ring_is_told(home, said)
    await home.world.tell(home.device, Pressed())  # waits in the stream's queue
    await end(home)
    await home.world.tell(home.device, Pressed())
    home.world.hub.state_changed(home.device, "online")
    home.world.hub.request_published("r")  # a time that is over is looked at by the next notice
    names = [name_of(frame) for frame in await rest_of(said)]
    assert names[0] == "gone"
    assert set(names) <= {"gone", "request"}


async def test_a_guest_whose_right_shrank_hears_no_more_of_what_it_had(home: Home) -> None:
    said = await own_page(home.world, home.guest)
    assert is_hello(await anext(said))
    await ring_is_told(home, said)
    await home.let(["live"])
    await home.world.tell(home.device, Pressed())
    assert [name_of(frame) for frame in await rest_of(said)] == ["linked"]


async def test_an_owner_who_was_sent_away_hears_nothing_in_an_open_page(home: Home) -> None:
    said = await own_page(home.world, home.owner)
    assert is_hello(await anext(said))
    gone = OwnerGone(credential_id=home.owner.passkey.key.credential_id)
    row = await home.committed(gone)
    await home.world.pairings.take_gone(home.device, gone)
    await home.world.tell(home.device, Pressed())
    assert row.device == home.device
    assert [name_of(frame) for frame in await rest_of(said)] == ["gone"]


async def test_a_right_that_nobody_said_was_changed_is_looked_at_in_time(home: Home) -> None:
    """A change that no relay was told of, as by hand in the database, counts after LOOK_MS."""
    said = await own_page(home.world, home.owner)
    assert is_hello(await anext(said))
    async with home.world.database.begin() as tx:
        await routing.unlink(tx, await account_of(home.world, home.owner), home.device)
        tx.info.clear()
    home.world.clock.set_wall_ms(home.world.clock.wall_ms() + LOOK_MS)
    await home.world.tell(home.device, Pressed())
    assert [name_of(frame) for frame in await rest_of(said)] == ["gone"]


async def test_made_up_cursors_open_nothing(home: Home) -> None:
    """A stranger names the doorbell, a guest the time before they came."""
    hidden = await home.committed(Pressed())
    stranger = await paired_owner(home.world, await home.world.enrol(), "Eve")
    later = Owner(home.world, "Late")
    await later.register()
    home.guest = later
    await home.let(["rings"])
    for who in (stranger, later):
        said = await own_page(home.world, who, after={home.device: 1, "a" * 20: 1})
        frames = [frame for frame in await rest_of(said) if not is_hello(frame)]
        assert hidden.event.id not in "".join(frames)
        assert [name_of(frame) for frame in frames] == ["reload"]
        answer = await who.get(
            f"/notes?browser={who.browser.keys.id}&after={home.device}.1~{'a' * 20}.1"
        )
        assert (answer.status_code, answer.json()["events"]) == (200, [])
    async with home.world.browser() as http:
        token = stranger.http.headers["Authorization"]
        for text in ("x", f"{home.device}.g", f"{home.device}.1~{home.device}.2", "~"):
            headers = {"Authorization": token}
            path = f"/api/v1/notes?browser={'a' * 20}&after={text}"
            assert (await http.get(path, headers=headers)).status_code == 422


async def test_a_cursor_tells_a_guest_of_nothing_that_is_not_theirs(home: Home) -> None:
    """When the doorbell tells others something isn't for a guest to know.

    Seen to fail with `newest` in place of `heard` in relay/api/stream.py.
    """
    await home.let(["live"])
    said = await own_page(home.world, home.guest)
    first = id_of(await anext(said))
    home.world.clock.advance(60)
    await home.world.tell(home.device, Pressed())
    home.world.hub.request_published("r")
    home.world.hub.state_changed(home.device, "online")
    frames = await rest_of(said)
    assert [name_of(frame) for frame in frames] == ["status"]
    assert id_of(frames[0]) == first
    again = await own_page(home.world, home.guest, after=read_cursors(first))
    assert id_of(await anext(again)) == first
    page = await home.guest.get(f"/notes?browser={home.guest.browser.keys.id}&after_seq={2**53}")
    assert page.json()["next"] == first


async def test_an_owner_who_goes_on_hears_all_in_order_and_nothing_twice(home: Home) -> None:
    said = await own_page(home.world, home.owner)
    assert is_hello(await anext(said))
    await ring_is_told(home, said)
    ring = await home.world.tell(home.device, Pressed())
    told = id_of(await anext(said))
    await said.aclose()
    missed = [await home.world.tell(home.device, Pressed()) for _ in range(3)]
    note = Note(credential_id="another's", browser="a" * 20, sealed="eA")
    await home.world.tell(home.device, note)
    cursors = read_cursors(told)
    assert cursors is not None
    assert write_cursors(cursors) == told
    again = await own_page(home.world, home.owner, after=cursors)
    frames = await rest_of(again)
    assert is_hello(frames[0])
    heard = [data_of(frame)["event"]["id"] for frame in frames[1:-1]]
    assert heard == [one.id for one in missed]
    assert ring.id not in heard
    assert name_of(frames[-1]) == "reload"
    at_the_end = read_cursors(id_of(frames[-1]))
    third = await own_page(home.world, home.owner, after=at_the_end)
    assert [name_of(frame) for frame in await rest_of(third)] == ["", "reload"]
