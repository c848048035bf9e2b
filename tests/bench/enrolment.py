"""Enrolment and renewal: processor time of doorbell and relay together, without the network.

The doorbell makes its keys, asks, checks and stores; the relay checks, signs and commits.
"""

import asyncio
import random
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import httpx2

from firmware.enrolment.client import Enroller
from firmware.enrolment.keys import load_or_make_keys
from firmware.enrolment.renewal import CertificateRenewal
from firmware.protocol.claims import Enrolment, EnrolmentRequest
from firmware.protocol.encoding import decode
from firmware.protocol.renewals import RenewalRequest
from relay.config.settings import Config
from relay.fleet.ca import Authority
from relay.fleet.claims import new_claim
from relay.fleet.enrolment import EnrolmentService
from relay.fleet.renewal import RenewalService
from relay.store.database import Database
from tests.bench.measuring import Goal, Result, Run, Size
from tests.fakes.clock import ManualClock
from tests.relay.servers import new_relay

DUE_S = 70 * 24 * 3600.0
GOAL = Goal(value=2000.0)


@dataclass(slots=True)
class _Spent:
    """Processor times of one run, in ns."""

    enrolments: list[int]
    renewals: list[int]


class _Link:
    is_online = True


def measure(size: Size) -> list[Result]:
    """Enrol doorbells, and renew the certificate of each."""
    runs = [_run(max(1, size.repeats // 30)) for _ in range(size.runs)]
    return [
        Result(
            id="enrolment",
            what="enrol a doorbell: keys, request, two certificates, stored on both sides",
            unit="ms",
            own_runs=[Run(times_ns=run.enrolments) for run in runs],
            goal=GOAL,
            note="Processor time of both sides, in one process.",
        ),
        Result(
            id="renewal",
            what="renew a doorbell's certificate",
            unit="ms",
            own_runs=[Run(times_ns=run.renewals) for run in runs],
            goal=GOAL,
        ),
    ]


def _run(count: int) -> _Spent:
    with tempfile.TemporaryDirectory(prefix="doorward-bench-") as name:
        config = new_relay(Path(name) / "relay")
        return asyncio.run(_measure(config, Path(name), count))


async def _measure(config: Config, folder: Path, count: int) -> _Spent:
    clock, spent = ManualClock(wall_ms=time.time_ns() // 1_000_000), _Spent([], [])
    authority = Authority.load(config.ca_key_path.read_bytes(), config.ca_path.read_bytes())
    database = await Database.open(config.database)
    try:
        relay = _Relay(config, database, authority, clock)
        for number in range(count):
            card = folder / f"card {number}"
            began_ns = time.process_time_ns()
            enrolment = await _enrol(relay, card)
            spent.enrolments.append(time.process_time_ns() - began_ns)
            clock.advance(DUE_S)
            began_ns = time.process_time_ns()
            await _renew(relay, card, enrolment)
            spent.renewals.append(time.process_time_ns() - began_ns)
            shutil.rmtree(card)
    finally:
        await database.close()
    return spent


class _Relay:
    """The relay's two services, behind a transport in memory."""

    def __init__(
        self, config: Config, database: Database, authority: Authority, clock: ManualClock
    ) -> None:
        self.config, self.database = config, database
        self.authority, self.clock = authority, clock
        self._enrolling = EnrolmentService(
            database=database,
            authority=authority,
            config=config,
            clock=clock,
            announce_revocation=self._announce,
        )
        self._renewing = RenewalService(database=database, authority=authority, clock=clock)

    def http(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(transport=httpx2.MockTransport(self._answer))

    async def _answer(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.path == "/enrol":
            enrolled = await self._enrolling.enrol(decode(EnrolmentRequest, request.content))
            return httpx2.Response(200, content=enrolled.encode())
        renewed = await self._renewing.renew(decode(RenewalRequest, request.content))
        return httpx2.Response(200, content=renewed.encode())

    async def _announce(self, device: str) -> None:
        raise RuntimeError(f"{device} was replaced, though no claim said so")


async def _enrol(relay: _Relay, card: Path) -> Enrolment:
    keys = load_or_make_keys(card)
    async with relay.database.begin() as tx:
        claim = await new_claim(
            tx,
            relay_url=relay.config.public_url,
            ca_sha256=relay.authority.sha256,
            now_ms=relay.clock.wall_ms(),
        )
    (card / "claim.json").write_bytes(claim.encode())
    async with relay.http() as http:
        return await Enroller(
            data_dir=card,
            claim_file=card / "claim.json",
            keys=keys,
            http=http,
            source=random.Random(1),
        ).enrol()


async def _renew(relay: _Relay, card: Path, enrolment: Enrolment) -> None:
    before = (card / "certificate.pem").read_bytes()
    async with relay.http() as http:
        await CertificateRenewal(
            data_dir=card,
            relay_url=enrolment.relay_url,
            keys=load_or_make_keys(card),
            http=http,
            link=_Link(),
            clock=relay.clock,
            source=random.Random(1),
        ).look()
    if (card / "certificate.pem").read_bytes() == before:
        raise RuntimeError("a certificate to measure with wasn't renewed")
