"""Renewal of doorbells' certificates: who gets the next one, and when."""

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography import x509

from firmware.protocol.certified_key import certified_spki
from relay.errors import RenewalRefused
from relay.fleet.renewal import RenewalService
from relay.store import fleet
from tests.fakes.clock import ManualClock
from tests.fakes.waiting import eventually
from tests.relay.http_world import DAY_MS, open_world
from tests.relay.renewing import Renewing

LIFE_DAYS = 90


@pytest.fixture
async def doorbell(tmp_path: Path) -> AsyncIterator[Renewing]:
    async with open_world(tmp_path) as world:
        yield await Renewing.enrolled(world, tmp_path / "card")


class AskedClock:
    """The relay's clock, which knows how often it was asked."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self._count = 0

    def wall_ms(self) -> int:
        self._count += 1
        return self._clock.wall_ms()

    async def asked(self, count: int) -> None:
        await eventually(lambda: self._count >= count)


def service_of(doorbell: Renewing) -> tuple[RenewalService, AskedClock]:
    world, clock = doorbell.world, AskedClock(doorbell.world.clock)
    service = RenewalService(database=world.database, authority=world.authority, clock=clock)
    return service, clock


async def test_a_certificate_is_renewed_for_the_same_key_for_90_days(doorbell: Renewing) -> None:
    doorbell.days_pass(60)
    renewed = await doorbell.renew()
    certificate = x509.load_pem_x509_certificate(renewed.encode())
    assert doorbell.world.authority.has_signed(certificate)
    assert certified_spki(certificate) == doorbell.keys.signer.spki
    assert doorbell.days_left(renewed) == pytest.approx(LIFE_DAYS, abs=0.01)


async def test_a_lost_answer_is_sent_again(doorbell: Renewing) -> None:
    doorbell.days_pass(60)
    assert await doorbell.renew() == await doorbell.renew()


async def test_a_doorbell_that_asks_twice_at_once_gets_one_certificate(doorbell: Renewing) -> None:
    doorbell.days_pass(60)
    service, clock = service_of(doorbell)
    async with doorbell.world.database.begin():  # so each has read the row before one writes
        renewing = [asyncio.create_task(service.renew(doorbell.request())) for _ in range(3)]
        await clock.asked(3)
    assert len({(await one).certificate_pem for one in renewing}) == 1


async def test_a_renewed_certificate_is_renewed_in_its_turn(doorbell: Renewing) -> None:
    for _ in range(3):
        doorbell.days_pass(60)
        doorbell.certificate_pem = await doorbell.renew()
    assert doorbell.days_left(doorbell.certificate_pem) == pytest.approx(LIFE_DAYS, abs=0.01)


async def test_a_certificate_in_its_first_half_needs_no_renewal(doorbell: Renewing) -> None:
    doorbell.days_pass(40)
    assert await doorbell.refusal() == (409, "not_due")


async def test_a_doorbell_that_was_off_for_a_winter_is_renewed(doorbell: Renewing) -> None:
    doorbell.days_pass(LIFE_DAYS + 399)
    assert doorbell.days_left(await doorbell.renew()) == pytest.approx(LIFE_DAYS, abs=0.01)


async def test_a_card_from_a_backup_gets_the_newest_certificate(doorbell: Renewing) -> None:
    old = doorbell.certificate_pem
    doorbell.days_pass(60)
    newest = doorbell.certificate_pem = await doorbell.renew()
    doorbell.certificate_pem = old
    assert await doorbell.renew() == newest


async def test_a_relay_from_a_backup_renews_what_it_no_longer_knows(doorbell: Renewing) -> None:
    old = doorbell.certificate_pem
    doorbell.days_pass(60)
    doorbell.certificate_pem = await doorbell.renew()
    async with doorbell.world.database.begin() as tx:
        known = await fleet.get(tx, doorbell.keys.device)
        assert known is not None
        assert await fleet.renew(
            tx,
            doorbell.keys.device,
            certificate_pem=old,
            ends_ms=known.certificate_ends_ms - 60 * 24 * 3600 * 1000,
            before_ends_ms=known.certificate_ends_ms,
        )
    doorbell.days_pass(60)
    assert doorbell.days_left(await doorbell.renew()) == pytest.approx(LIFE_DAYS, abs=0.01)


async def test_a_doorbell_that_was_revoked_while_it_was_signed_for_gets_nothing(
    doorbell: Renewing,
) -> None:
    doorbell.days_pass(60)
    service, clock = service_of(doorbell)
    async with doorbell.world.database.begin() as tx:
        renewing = asyncio.create_task(service.renew(doorbell.request()))
        await clock.asked(1)  # it has read the row, and waits for its turn to write
        await fleet.revoke(tx, doorbell.keys.device, revoked_ms=clock.wall_ms())
    with pytest.raises(RenewalRefused, match="revoked"):
        await renewing


@pytest.mark.parametrize("text", ["", "no pem", "-----BEGIN CERTIFICATE-----\nAAAA\n"])
async def test_what_is_no_certificate_is_refused(doorbell: Renewing, text: str) -> None:
    request = doorbell.request()
    request = type(request)(certificate_pem=text, signature=request.signature)
    assert await doorbell.refusal(request) == (403, "certificate")


async def test_a_certificate_of_another_version_is_refused(doorbell: Renewing) -> None:
    body = "".join(doorbell.certificate_pem.splitlines()[1:-1])
    broken = bytearray(base64.b64decode(body))
    broken[broken.index(b"\xa0\x03\x02\x01\x02") + 4] = 9
    pem = base64.encodebytes(bytes(broken)).decode()
    request = doorbell.request()
    text = f"-----BEGIN CERTIFICATE-----\n{pem}-----END CERTIFICATE-----\n"
    request = type(request)(certificate_pem=text, signature=request.signature)
    assert await doorbell.refusal(request) == (403, "certificate")


async def test_the_operator_counts_certificates_that_end_soon(doorbell: Renewing) -> None:
    now_ms = doorbell.world.clock.wall_ms()
    async with doorbell.world.database.read() as tx:
        for from_days, days, expected in ((0, 89, 0), (0, 91, 1), (91, 900, 0)):
            counted = await fleet.count_ending(
                tx, from_ms=now_ms + from_days * DAY_MS, before_ms=now_ms + days * DAY_MS
            )
            assert counted == expected
