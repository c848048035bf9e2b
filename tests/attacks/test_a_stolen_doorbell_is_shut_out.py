"""A whole doorbell is stolen, key and certificate with it. Once it is revoked, it is nobody.

The thief has the card and everything that the doorbell could sign or say. Each test names what it
was seen to succeed without.
"""

import asyncio
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from firmware.protocol.commands import NonceWanted, RegisterGrew
from firmware.protocol.encoding import new_id
from firmware.protocol.events import (
    Event,
    PackageReady,
    PackageUploaded,
    PairingAnswered,
    ReleaseCommitted,
    SlotCommitted,
    UploadedPart,
)
from firmware.protocol.pairing import SignedPairingAnswer
from relay.base.clock import SystemClock
from relay.bus import Kicked
from relay.errors import BusUnavailable, EnrolmentRefused, UnknownDoorbell
from relay.fleet.revocation import revoke
from relay.store import commands, fleet
from tests.fakes.releases import released
from tests.fakes.waiting import PATIENCE_S
from tests.relay.doorbells import Connection, Doorbell, claim_secret, enrol, enrolment_request
from tests.relay.http_people import paired_owner
from tests.relay.http_world import open_world
from tests.relay.servers import Broker, Relay, new_relay, run_relay

pytestmark = [pytest.mark.services]

AT_MOST_S = 60.0
FAR_MS = 10 * 60_000


@pytest.fixture
def broker(tmp_path: Path):
    broker = Broker(new_relay(tmp_path / "relay"))
    broker.start()
    yield broker
    broker.stop()


class Desk:
    """What of a doorbell's word reaches the logs."""

    def __init__(self) -> None:
        self.taken: list[Event] = []

    async def take(self, _tx: object, event: Event) -> None:
        self.taken.append(event)


async def cut(line: Connection, within_s: float = AT_MOST_S) -> float:
    """Wait until a line is cut; return after how long."""
    begun_s = time.monotonic()
    await asyncio.to_thread(line.lost.get, timeout=within_s)
    return time.monotonic() - begun_s


async def is_let_in(doorbell: Doorbell) -> bool:
    try:
        line = await asyncio.to_thread(doorbell.open)
    except PermissionError:
        return False
    await asyncio.to_thread(line.close)
    return True


async def test_its_line_is_cut_and_its_certificate_refused_within_a_minute(
    broker: Broker, tmp_path: Path
) -> None:
    """Seen to succeed without the kick, and without `is_revoked` in the callout."""
    async with run_relay(broker.config) as relay:
        stolen = await enrol(relay, tmp_path)
        line = await asyncio.to_thread(stolen.open)
        await relay.revocations.revoke(stolen.device)
        assert await cut(line) < 30
        assert not await is_let_in(stolen)
        await asyncio.to_thread(line.close)


async def test_its_line_is_cut_also_if_no_relay_was_there_to_hear_of_it(
    broker: Broker, tmp_path: Path
) -> None:
    """Seen to succeed without `self._connected |=` in Revocations.reload."""
    async with run_relay(broker.config) as relay:
        stolen, other = await enrol(relay, tmp_path), await enrol(relay, tmp_path)
        line = await asyncio.to_thread(stolen.open)
        bystander = await asyncio.to_thread(other.open)
        await revoke(
            stolen.device, bus=Unheard(), database=relay.database, clock=SystemClock()
        )  # from another machine, whose word the broker lost
    assert line.client.is_connected()
    async with run_relay(broker.config):
        assert await cut(line) < 30
        assert not await is_let_in(stolen)
        assert bystander.client.is_connected()
    await asyncio.to_thread(line.close)
    await asyncio.to_thread(bystander.close)


async def test_its_line_is_cut_as_soon_as_the_broker_lets_it_be_cut(
    broker: Broker, tmp_path: Path
) -> None:
    """Seen to succeed without the second try in Revocations.run."""
    async with run_relay(broker.config) as relay:
        stolen = await enrol(relay, tmp_path)
        line = await asyncio.to_thread(stolen.open)
        kick, tries = relay.bus.kick, []

        async def fails_once(device: str) -> Kicked:
            tries.append(device)
            if len(tries) == 1:
                raise BusUnavailable("the broker is busy")
            return await kick(device)

        relay.bus.kick = fails_once  # type: ignore[method-assign]
        await relay.revocations.revoke(stolen.device)
        assert await cut(line) < 30
        await asyncio.to_thread(line.close)


class Unheard:
    """A broker that loses a word."""

    async def announce_revocation(self, _device: str) -> None:
        pass


def everything(doorbell: Doorbell) -> list[Event]:
    """Return what a thief could say: slots, a release, packages, a pairing."""
    part = UploadedPart(number=1, etag='"e"', sha256="ab" * 32)
    bodies = [
        SlotCommitted(slot=1, commitment="ab" * 32, notes=[]),
        ReleaseCommitted(commitment="cd" * 32),
        PackageReady(
            package_id=new_id(),
            request_id=new_id(),
            agency="lakeland",
            size_bytes=1000,
            part_bytes=8 * 1024 * 1024,
            part_sha256=["ab" * 32],
            **released(),
        ),
        PackageUploaded(package_id=new_id(), parts=[part]),
        PairingAnswered(
            pairing_id=new_id(), signed=SignedPairingAnswer(answer="{}", signature="AAAA")
        ),
    ]
    return [doorbell.event(body=body) for body in bodies]


async def said(doorbell: Doorbell, relay: Relay, *, is_revoked: bool) -> None:
    """Let a doorbell say everything, and the broker keep it; then it may be revoked."""
    line = await asyncio.to_thread(doorbell.open)
    for event in everything(doorbell):
        await asyncio.to_thread(line.publish, "event", event.encode())
    if is_revoked:
        await relay.revocations.revoke(doorbell.device)
    await asyncio.to_thread(line.close)


async def test_nothing_that_it_said_last_is_logged_uploaded_or_paired(
    broker: Broker, tmp_path: Path
) -> None:
    """Seen to succeed without `revoked_ms.is_(None)` in what ingest counts as enrolled.

    The same by another doorbell counts, so it isn't lost for another reason.
    """
    desk, hooked = Desk(), []
    async with run_relay(broker.config, is_ingesting=False) as relay:
        stolen, other = await enrol(relay, tmp_path), await enrol(relay, tmp_path)
        await said(stolen, relay, is_revoked=True)
        await said(other, relay, is_revoked=False)
    async with run_relay(broker.config, custody=desk) as relay:

        async def hook(row):
            hooked.append(row.event)

        relay.hooked.append(hook)
        async with asyncio.timeout(PATIENCE_S):
            while len(hooked) < 3 or len(desk.taken) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.5)
    assert {event.device for event in [*hooked, *desk.taken]} == {other.device}


async def test_no_command_and_no_ticket_is_sent_to_it(broker: Broker, tmp_path: Path) -> None:
    """Seen to succeed without `revoked_ms` in Commands._command."""
    async with run_relay(broker.config) as relay:
        stolen = await enrol(relay, tmp_path)
        await relay.revocations.revoke(stolen.device)
        until_ms = SystemClock().wall_ms() + FAR_MS
        for send in (
            relay.commands.send(stolen.device, RegisterGrew(size=5), until_ms),
            relay.commands.tell(stolen.device, RegisterGrew(size=5), until_ms),
            relay.commands.ask(stolen.device, NonceWanted()),
        ):
            with pytest.raises(UnknownDoorbell):
                await send
        async with relay.database.read() as tx:
            assert await commands.unanswered(tx, now_ms=0) == []


async def test_it_is_not_enrolled_again_with_a_new_claim(broker: Broker, tmp_path: Path) -> None:
    """Seen to succeed without the check in Enrolling. The thief bought another doorbell's claim."""
    async with run_relay(broker.config) as relay:
        stolen = await enrol(relay, tmp_path)
        await relay.revocations.revoke(stolen.device)
        key = load_pem_private_key(stolen.key_file.read_bytes(), None)
        secret = await claim_secret(relay)
        with pytest.raises(EnrolmentRefused, match="revoked"):
            await relay.enrolling.enrol(enrolment_request(secret, key))


async def test_no_owners_browser_is_brought_to_it(tmp_path: Path) -> None:
    """Seen to succeed without `revoked_ms.is_(None)` where an account's doorbells are looked up."""
    async with open_world(tmp_path) as world:
        device = await world.enrol()
        owner = await paired_owner(world, device)
        paths = ("nonce", "offer", "candidates", "orders", "statements")
        assert (await owner.get("/doorbells")).json()["doorbells"]
        async with world.database.begin() as tx:
            await fleet.revoke(tx, device, revoked_ms=world.clock.wall_ms())
        assert (await owner.get("/doorbells")).json()["doorbells"] == []
        session = {"session_id": "a" * 26, "signed": {"text": "{}", "signature": "AA"}}
        body = {**session, "sealed": "AAAA"}
        for path in paths:
            answer = await owner.post(f"/doorbells/{device}/{path}", body)
            assert answer.status_code in (403, 404, 405), (path, answer.text)
        assert await world.told(device) == []
