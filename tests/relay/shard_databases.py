"""Two shards' databases, each with what enrols and moves doorbells there; no broker, no logs."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from firmware.protocol.encoding import b64u, new_id
from firmware.protocol.shards import ShardDirectory
from relay.base.clock import SystemClock
from relay.config.settings import Config, ShardsConfig
from relay.fleet.ca import Authority
from relay.fleet.claims import new_claim
from relay.fleet.enrolment import EnrolmentService
from relay.fleet.shards import ShardMoves
from relay.store import fleet, people, routing
from relay.store.database import Database
from relay.store.people import Account, Credential
from tests.fakes.log_town import DAY_MS
from tests.fakes.shards import DirectorySigning, listed
from tests.relay.doorbells import enrolment_request
from tests.relay.servers import new_relay


@dataclass
class Shard:
    """A shard's database, and what enrols and moves doorbells there."""

    id: str
    config: Config
    database: Database
    directory_path: Path
    signing: DirectorySigning
    keys: dict[str, ec.EllipticCurvePrivateKey] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.authority = Authority.load(
            self.config.ca_key_path.read_bytes(), self.config.ca_path.read_bytes()
        )
        self.enrolling = EnrolmentService(
            database=self.database,
            authority=self.authority,
            config=self.config,
            clock=SystemClock(),
            announce_revocation=self._ignore,
        )
        shards = ShardsConfig(id=self.id, directory_path=self.directory_path)
        self.moves = ShardMoves(
            database=self.database,
            shards=shards,
            public_url=self.config.public_url,
            clock=SystemClock(),
        )

    async def _ignore(self, _device: str) -> None:
        """No broker is there."""

    async def claim(self) -> str:
        async with self.database.begin() as tx:
            claim = await new_claim(
                tx,
                relay_url=self.config.public_url,
                ca_sha256=self.authority.sha256,
                now_ms=SystemClock().wall_ms(),
            )
        return claim.secret

    async def enrol(self) -> str:
        """Enrol a doorbell; return its id."""
        key = ec.generate_private_key(ec.SECP256R1())
        enrolment = await self.enrolling.enrol(enrolment_request(await self.claim(), key))
        self.keys[enrolment.device] = key
        return enrolment.device

    async def add_owner(self, *devices: str) -> str:
        account = Account(id=new_id(), role="owner", agency=None, name="Ada")
        credential = Credential(
            credential_id=b64u(account.id.encode()),
            account_id=account.id,
            public_key="-",
            rp_id="owner.test",
            origin="https://owner.test",
            aaguid="-",
            sign_count=0,
            is_demo=False,
        )
        async with self.database.begin() as tx:
            await people.add_account(tx, account, SystemClock().wall_ms())
            await people.add_credential(tx, credential)
            for device in devices:
                await routing.link(tx, account.id, device)
        return account.id

    async def doorbell(self, device: str) -> fleet.DoorbellRow | None:
        async with self.database.read() as tx:
            return await fleet.get(tx, device)


def directory_of(*shards: Shard, days: int = 90) -> ShardDirectory:
    """Return a directory of shards that ends so many days from now."""
    now_ms = SystemClock().wall_ms()
    return ShardDirectory(
        number=1,
        made_ms=now_ms - DAY_MS,
        expires_ms=now_ms + days * DAY_MS,
        shards=tuple(
            listed(
                one.id,
                one.config.public_url,
                ca_sha256=one.authority.sha256,
                policy=one.id.encode(),
            )
            for one in shards
        ),
    )


@asynccontextmanager
async def shard_databases(
    folder: Path, *, names: Sequence[str] = ("a", "b")
) -> AsyncIterator[tuple[Shard, ...]]:
    """Make shards, a and b where nothing else is said, and the signed directory of all."""
    path, made, signing = folder / "shards.note", [], DirectorySigning()
    for name in names:
        config = await asyncio.to_thread(new_relay, folder / name)
        made.append(Shard(name, config, await Database.open(config.database), path, signing))
    path.write_bytes(signing.note(directory_of(*made)))
    yield tuple(made)
    for one in made:
        await one.database.close()


async def moved(shard: Shard, *devices: str, to: str = "b", has_claims: bool = False) -> bytes:
    """Move doorbells to another shard, and return the file."""
    with tempfile.TemporaryFile() as file:
        signers = shard.signing.directory_signers
        await shard.moves.move(to, file, devices=devices, has_claims=has_claims, signers=signers)
        file.seek(0)
        return file.read()
