"""Two shards in one process: relays with brokers and databases of their own, and their towns.

Shard b is what shard a was split into. HTTP goes by a transport that finds a relay by its address;
a doorbell is `ShardDoorbell`, whose outbox, link, renewal and register follower are the real ones.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
from starlette.applications import Starlette

from firmware.app.link import RelayWay
from firmware.app.site import Site
from firmware.config.settings import Config as DoorbellConfig
from firmware.config.settings import LogConfig
from firmware.enrolment.client import Enroller, load_enrolment
from firmware.enrolment.keys import DeviceKeys, load_or_make_keys
from firmware.enrolment.shard_policy import policy_in_force
from firmware.enrolment.shards import ShardGuide
from firmware.protocol.claims import Claim
from firmware.protocol.commands import Command
from firmware.protocol.encoding import new_id
from firmware.protocol.events import Pressed
from firmware.protocol.register.entries import Succession
from firmware.protocol.register.register_file import WholeRegister
from firmware.protocol.register.succession import succession_to
from firmware.protocol.shards import ShardDirectory
from firmware.system.clock import SystemClock
from firmware.system.shard_move import finish_shard_move
from firmware.transparency.follower import RegisterFollower
from firmware.transparency.log_source import LogSource
from firmware.transparency.policy_file import load_logs
from relay.app.doorbell_routes import doorbell_routes, lead_elsewhere
from relay.base.clock import SystemClock as RelayClock
from relay.config.settings import ShardsConfig
from relay.errors import HeldElsewhere
from relay.fleet.claims import new_claim
from relay.fleet.renewal import RenewalService
from relay.fleet.shards import ShardMoves
from tests.fakes.followed_record import Owned, followed_record
from tests.fakes.log_town import DAY_MS, Town, answer_with, make_town
from tests.fakes.shards import DirectorySigning, listed
from tests.relay.servers import Broker, Relay, new_relay, run_relay


@dataclass
class Shard:
    """One shard's relay, its town's logs, and the HTTP that doorbells reach."""

    id: str
    relay: Relay
    town: Town
    directory_path: Path
    http: httpx2.ASGITransport

    @property
    def url(self) -> str:
        return self.relay.config.public_url

    @property
    def moves(self) -> ShardMoves:
        shards = ShardsConfig(id=self.id, directory_path=self.directory_path)
        return ShardMoves(
            database=self.relay.database, shards=shards, public_url=self.url, clock=RelayClock()
        )

    async def claim(self) -> Claim:
        async with self.relay.database.begin() as tx:
            return await new_claim(
                tx,
                relay_url=self.url,
                ca_sha256=self.relay.authority.sha256,
                now_ms=RelayClock().wall_ms(),
            )


@dataclass
class TwoShards:
    """Shards a and b, and the directory that leads from one to the other."""

    a: Shard
    b: Shard
    signing: DirectorySigning

    def transport(self) -> httpx2.MockTransport:
        """Return what carries a doorbell's HTTP to the relay of its address."""

        async def answer(request: httpx2.Request) -> httpx2.Response:
            origin = f"{request.url.scheme}://{request.url.host}:{request.url.port}"
            shard = next(one for one in (self.a, self.b) if one.url == origin)
            path = request.url.path
            if path == "/transparency/policy":
                return answer_with(shard.town.policy_text, request)
            if path.startswith("/log/"):
                data = shard.town.file(path.removeprefix("/log/"))
                return httpx2.Response(404) if data is None else answer_with(data, request)
            return await shard.http.handle_async_request(request)

        return httpx2.MockTransport(answer)


class ShardDoorbell:
    """One doorbell with an owner; `start` again after a move, as its process would."""

    def __init__(self, folder: Path, shards: TwoShards, claim: Claim) -> None:
        folder.mkdir()
        self.folder = folder
        card = folder / "card-policy.txt"
        card.write_bytes(shards.signing.policy(shards.a.town.policy_text))
        self.config = DoorbellConfig(
            data_dir=folder, claim_file=folder / "claim.json", log=LogConfig(policy_path=card)
        )
        self.config.claim_file.write_bytes(claim.encode())
        self.keys: DeviceKeys = load_or_make_keys(folder)
        self.http = httpx2.AsyncClient(transport=shards.transport())
        self.clock = SystemClock(is_host_time_trusted=True)
        self.guide = ShardGuide(data_dir=folder, policy_path=card, http=self.http, clock=self.clock)
        self.has_to_start_again = asyncio.Event()

    @property
    def device(self) -> str:
        return self.keys.device

    @property
    def relay_url(self) -> str:
        enrolment = load_enrolment(self.folder, self.device)
        assert enrolment is not None
        return enrolment.relay_url

    async def enrol(self) -> None:
        source = random.Random(7)
        await Enroller(
            data_dir=self.folder,
            claim_file=self.config.claim_file,
            keys=self.keys,
            http=self.http,
            source=source,
            guide=self.guide,
        ).enrol()

    async def start(self) -> None:
        """Be the doorbell, at the relay that has it."""
        finish_shard_move(self.folder)
        enrolment = load_enrolment(self.folder, self.device)
        assert enrolment is not None
        site = Site(
            config=self.config,
            keys=self.keys,
            enrolment=enrolment,
            clock=self.clock,
            boot_id=new_id(),
            http=self.http,
            source=random.Random(7),
        )
        self.way = way = RelayWay(site)
        logs = load_logs(policy_in_force(self.config))
        self.follower = RegisterFollower(
            folder=self.folder / "register",
            logs=logs,
            source=LogSource(self.http, enrolment.log_url, "register"),
            clock=self.clock,
            signer=self.keys.signer,
            chance=random.Random(7),
        )
        await self.follower.read()
        record = followed_record(
            self.folder,
            owners=Owned(is_owned=True),
            http=self.http,
            clock=self.clock,
            logs=logs,
            follower=self.follower,
        )
        way.shard_move.succeed(record)
        self.has_to_start_again.clear()
        way.shard_move.ready.add(self.has_to_start_again.set)
        self.is_refused = asyncio.Event()
        way.link.refused.add(self.is_refused.set)
        self.is_let_in = asyncio.Event()
        way.link.let_in.add(self.is_let_in.set)
        self._running = [
            asyncio.create_task(way.link.run(self)),
            asyncio.create_task(way.renewal.run()),
        ]

    async def handle(self, command: Command) -> None:
        """Nothing is asked of it."""
        raise AssertionError(command)

    async def press(self) -> str:
        """Ring; return the event's id."""
        return (await self.way.events.publish(Pressed())).id

    async def stop(self) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await asyncio.to_thread(self.way.events.close)
        self.way.outbox.close()


def charter_of(town: Town) -> Succession:
    """Return what the charter says that succeeds a town's register as it is now."""
    whole = WholeRegister(entries=tuple(town.register_log.entries))
    return succession_to(whole, [town.admin(one) for one in ("ann", "bob")])


@asynccontextmanager
async def two_shards(folder: Path) -> AsyncIterator[TwoShards]:
    """Run both relays, each with its broker, and sign the directory that lists them."""
    now_ms = RelayClock().wall_ms()
    old = make_town("lakeland-a", now_ms=now_ms)
    new = make_town(
        "lakeland-b", now_ms=now_ms, admin_keys=old.admin_keys, succeeds=charter_of(old)
    )
    configs = [await asyncio.to_thread(new_relay, folder / name) for name in ("a", "b")]
    brokers = [Broker(config) for config in configs]
    path, signing = folder / "shards.note", DirectorySigning()
    try:
        for broker in brokers:
            await asyncio.to_thread(broker.start)
        async with run_relay(configs[0]) as a, run_relay(configs[1]) as b:
            shards = TwoShards(
                a=_shard("a", a, old, path), b=_shard("b", b, new, path), signing=signing
            )
            directory = ShardDirectory(
                number=1,
                made_ms=now_ms,
                expires_ms=now_ms + 90 * DAY_MS,
                shards=tuple(
                    listed(
                        one.id,
                        one.url,
                        ca_sha256=one.relay.authority.sha256,
                        policy=one.town.policy_text,
                    )
                    for one in (shards.a, shards.b)
                ),
            )
            path.write_bytes(signing.note(directory))
            yield shards
    finally:
        for broker in brokers:
            if broker.process is not None:
                broker.stop()


def _shard(shard_id: str, relay: Relay, town: Town, path: Path) -> Shard:
    renewing = RenewalService(
        database=relay.database, authority=relay.authority, clock=RelayClock()
    )
    app = Starlette(
        routes=doorbell_routes(relay.enrolling.enrol, renewing.renew),
        exception_handlers={HeldElsewhere: lead_elsewhere(path)},
    )
    return Shard(
        id=shard_id,
        relay=relay,
        town=town,
        directory_path=path,
        http=httpx2.ASGITransport(app=app),
    )
