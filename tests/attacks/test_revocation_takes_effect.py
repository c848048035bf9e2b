"""Who may no longer ask gets nothing, also of what was granted before, whatever the relay does.

The doorbell's desk follows a real register over HTTP. An honest relay's word makes it read within a
minute; a relay that withholds it has an hour, which is how old a register may be. Each test names
what it was seen to succeed without.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from firmware.consent.facts import Refusal
from firmware.decisions.intake import StatementIntake
from firmware.protocol.commands import RegisterGrew
from firmware.protocol.events import PackageReady
from firmware.protocol.requests import SignedRequest
from firmware.transparency.follower import RegisterFollower
from firmware.transparency.log_source import LogSource
from firmware.transparency.policy_file import logs_of
from tests.fakes.intake import DeskRig, desk_rig
from tests.fakes.log_town import Town
from tests.fakes.waiting import eventually

AT_MOST_S = 60.0
SOON_S = 45.0
"""How long it is waited for here; it comes within about two seconds."""

End = Callable[[Town, SignedRequest], None]


def the_drafting_officer_is_revoked(town: Town, _: SignedRequest) -> None:
    town.revoke(town.officer)


def the_cosigning_officer_is_revoked(town: Town, _: SignedRequest) -> None:
    town.revoke(town.cosigner)


def the_agency_is_suspended(town: Town, _: SignedRequest) -> None:
    town.suspend()


def the_request_is_withdrawn(town: Town, signed: SignedRequest) -> None:
    town.withdraw(signed)


ENDS: list[End] = [
    the_drafting_officer_is_revoked,
    the_cosigning_officer_is_revoked,
    the_agency_is_suspended,
    the_request_is_withdrawn,
]


class House:
    """A doorbell that follows the town's register by itself; `served` is what the relay serves."""

    def __init__(self, rig: DeskRig) -> None:
        self.rig = rig
        self.town = self.served = rig.world.town
        self.reads = 0
        http = httpx2.AsyncClient(transport=httpx2.MockTransport(self._answer))
        self.follower = RegisterFollower(
            folder=rig.folder / "register",
            logs=logs_of(self.town.policy),
            source=LogSource(http, "https://relay.example/log", "register"),
            clock=rig,
            signer=None,
            chance=random.Random(3),
        )
        rig.register = lambda: rig.with_its_batch(self.follower.facts())

    async def _answer(self, request: httpx2.Request) -> httpx2.Response:
        path = request.url.path.removeprefix("/log/")
        self.reads += path == "register/checkpoint"
        data = self.served.file(path)
        if data is None:
            return httpx2.Response(404)
        return httpx2.Response(200, stream=httpx2.ByteStream(data))

    async def committed(self) -> StatementIntake:
        """Grant and confirm: all that is missing is the custody log's proof."""
        desk = self.rig.desk()
        await self.rig.confirm(desk, self.rig.sign())
        return desk

    async def hear(self) -> float:
        """Let an honest relay say that the register grew; return when the doorbell has read it."""
        begun_s, before = time.monotonic(), self.follower.facts()
        await self.follower.on_grown(RegisterGrew(size=self.town.register_log.size))
        await eventually(lambda: self.follower.facts() != before, SOON_S)
        return time.monotonic() - begun_s

    def has_left(self) -> bool:
        return bool(self.rig.kept() or self.rig.told_of(PackageReady))


@asynccontextmanager
async def following(house: House) -> AsyncIterator[None]:
    task = asyncio.create_task(house.follower.run())
    try:
        await eventually(lambda: house.follower.facts().size > 0, SOON_S)
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with desk_rig(tmp_path) as rig:
        house = House(rig)
        async with following(house):
            yield house


async def test_nothing_was_revoked_and_it_leaves(house: House) -> None:
    """The same way without a revocation: so nothing else keeps it back below."""
    desk = await house.committed()
    await house.rig.log_release(desk)
    assert house.has_left()


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
async def test_with_an_honest_relay_what_is_confirmed_ends_within_a_minute(
    house: House, end: End
) -> None:
    """Seen to succeed without `_is_wanted.set()` in `on_grown`, and without each check of them."""
    desk = await house.committed()
    end(house.town, house.rig.world.signed_request)
    assert await house.hear() < AT_MOST_S
    await house.rig.log_release(desk)
    assert not house.has_left()


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
async def test_with_an_honest_relay_what_waits_can_no_longer_be_confirmed(
    house: House, end: End
) -> None:
    """Seen to succeed without what request_rules.py asks of each of them."""
    desk = house.rig.desk()
    digest = await house.rig.ask(desk, house.rig.sign())
    end(house.town, house.rig.world.signed_request)
    await house.hear()
    assert desk.waiting() == []
    assert isinstance(await desk.confirm(digest), Refusal)
    assert not house.has_left()


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
async def test_a_relay_that_withholds_it_has_an_hour_at_most(house: House, end: End) -> None:
    """Seen to succeed without `check_freshness`. The custody log goes on as if nothing was."""
    house.served = house.town.copy()
    read_ms = house.rig.now_ms
    end(house.town, house.rig.world.signed_request)
    house.rig.now_ms += 55 * 60_000
    house.town.wind(ms=55 * 60_000)
    desk = await house.committed()  # up to an hour: an honest limit
    house.rig.now_ms = read_ms + 60 * 60_000 + 1
    house.town.wind(ms=house.rig.now_ms - house.town.now_ms)
    await house.follower.read()
    await house.rig.log_release(desk)
    assert not house.has_left()
    assert house.follower.facts().size < house.town.register_log.size


async def test_a_restart_doesnt_make_a_withheld_register_fresh(house: House) -> None:
    """Seen to succeed where a register is as fresh as it was read, not as it was signed."""
    house.served = house.town.copy()
    house.town.revoke(house.town.officer)
    house.rig.now_ms += 60 * 60_000 + 1
    house.town.wind(ms=60 * 60_000 + 1)
    again = House(house.rig)
    again.served = house.served
    await again.follower.read()
    desk = house.rig.desk()
    await desk.on_statement(house.rig.seal(house.rig.sign()))
    assert desk.waiting() == []


async def test_one_witness_who_signs_the_old_register_again_makes_it_no_fresher(
    house: House,
) -> None:
    """Seen to succeed where the latest cosignature of all is what counts as fresh."""
    house.served = house.town.copy()
    house.town.revoke(house.town.cosigner)
    house.rig.now_ms += 60 * 60_000 + 1
    house.town.wind(ms=60 * 60_000 + 1)
    log = house.served.register_log
    newest, old = log.note(at_ms=house.rig.now_ms, by=("north",)), log.checkpoint
    log.checkpoint = with_last_signature_of(old, newest)
    await house.follower.read()
    desk = house.rig.desk()
    await desk.on_statement(house.rig.seal(house.rig.sign()))
    assert desk.waiting() == []


def with_last_signature_of(old: bytes, newest: bytes) -> bytes:
    from firmware.protocol.tlog.signed_note import parse_note

    return parse_note(old).with_signatures(*parse_note(newest).signatures).encode()
