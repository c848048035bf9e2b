"""Both logs of a relay on a real database, with real witnesses behind HTTP; the bucket is memory.

What is faked is the network and the store. `MemoryBucket` keeps what the real one does: an object
that is there isn't written again by `put_new`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from firmware.protocol.tlog.policy import Policy, parse_policy, policy_text
from firmware.protocol.tlog.signed_note import NoteSigner
from relay.base.clock import Clock, SystemClock
from relay.custody.log_entries import LogName
from relay.custody.logs import Logs, refreshing
from relay.custody.sequencer import TURN_MS, Sequencer
from relay.custody.tile_store import Bucket, Retention, TileStore
from relay.custody.witnesses import Witnesses
from relay.errors import ObjectStoreError
from relay.store.database import Database
from relay.store.objects import ObjectLock
from relay.tools.witness.cosigner import WitnessSigner
from relay.tools.witness.folder import WitnessFolder, make_folder
from relay.tools.witness.server import build_server

NAME = "example.lakeland"
WITNESS_NAMES = ("ann", "bea", "cem")


@dataclass
class MemoryBucket:
    """Implements `relay.custody.tile_store.Bucket`; a test may take it away."""

    files: dict[str, bytes] = field(default_factory=dict)
    locks: dict[str, ObjectLock] = field(default_factory=dict)
    written: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    is_lockable: bool = True
    is_away: bool = False
    is_comparing: bool = True
    """Not every store has conditional writes."""
    away_keys: set[str] = field(default_factory=set)
    """What can't be written just now."""

    async def ensure_lockable(self) -> bool:
        return self.is_lockable

    async def put_new(
        self,
        key: str,
        data: bytes,
        *,
        content_type: str,  # noqa: ARG002 (as the real one)
        cache_control: str = "",  # noqa: ARG002
        lock: ObjectLock | None = None,
    ) -> bool:
        self._check()
        if key in self.files:
            return False
        self.files[key] = data
        self.written.append(key)
        if lock is not None:
            self.locks[key] = lock
        return True

    async def swap(
        self,
        key: str,
        data: bytes,
        *,
        old: bytes | None,
        content_type: str,  # noqa: ARG002
        cache_control: str = "",  # noqa: ARG002
    ) -> bool:
        self._check()
        if key in self.away_keys:
            raise ObjectStoreError(f"the bucket doesn't take {key}")
        if self.is_comparing and self.files.get(key) != old:
            return False
        self.files[key] = data
        self.written.append(key)
        return True

    async def get(self, key: str, *, max_bytes: int) -> bytes | None:  # noqa: ARG002
        self._check()
        return self.files.get(key)

    async def list_keys(self, prefix: str) -> frozenset[str]:
        self._check()
        if prefix in self.away_keys:
            raise ObjectStoreError(f"the bucket doesn't list {prefix}")
        return frozenset(key for key in self.files if key.startswith(prefix))

    async def drop_under(self, prefix: str) -> None:
        for key in await self.list_keys(prefix) - self.locks.keys():
            del self.files[key]
            self.dropped.append(key)

    async def drop_older(self, key: str) -> None:  # noqa: ARG002 (it keeps nothing)
        self._check()

    def _check(self) -> None:
        if self.is_away:
            raise ObjectStoreError("the bucket is away")


@dataclass
class LogKeys:
    """The logs' keys, three witnesses on disk, and the policy that names them all."""

    signers: dict[LogName, NoteSigner]
    cosignings: dict[str, WitnessSigner]
    policy: Policy
    policy_text: bytes
    away: set[str] = field(default_factory=set)

    def http(self) -> httpx2.AsyncClient:
        """Return a client that reaches the witnesses, and nobody else."""
        return httpx2.AsyncClient(transport=self.transport())

    def transport(self) -> httpx2.AsyncBaseTransport:
        """Return such a client's way there."""
        apps = {
            f"{name}.test": httpx2.ASGITransport(app=build_server(cosigning))
            for name, cosigning in self.cosignings.items()
        }
        return _Apps(apps, self.away)


class _Apps(httpx2.AsyncBaseTransport):
    def __init__(self, apps: dict[str, httpx2.ASGITransport], away: set[str]) -> None:
        self._apps, self._away = apps, away

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        host = request.url.host
        if host.removesuffix(".test") in self._away or host not in self._apps:
            raise httpx2.ConnectError("nobody is there")
        return await self._apps[host].handle_async_request(request)


def make_keys(
    folder: Path, *, name: str = NAME, clock: Clock | None = None, threshold: int = 2
) -> LogKeys:
    """Make both logs' keys and three witnesses that watch them."""
    signers: dict[LogName, NoteSigner] = {
        "register": NoteSigner.generate(f"{name}/register", "ed25519"),
        "custody": NoteSigner.generate(f"{name}/custody", "ed25519"),
    }
    watched = {signer.key.name: [signer.key] for signer in signers.values()}
    keys = {w: NoteSigner.generate(f"{w}.test/witness", "cosignature") for w in WITNESS_NAMES}
    cosignings = {}
    for witness, signer in keys.items():
        make_folder(folder / witness, signer.key)
        cosignings[witness] = WitnessSigner(
            signer=signer,
            logs=watched,
            folder=WitnessFolder.open(folder / witness, signer.key),
            clock=clock or SystemClock(),
        )
    text = policy_text(
        logs=[signer.key for signer in signers.values()],
        witnesses={witness: signer.key for witness, signer in keys.items()},
        threshold=threshold,
        urls={witness: f"http://{witness}.test" for witness in keys},
    )
    return LogKeys(
        signers=signers, cosignings=cosignings, policy=parse_policy(text), policy_text=text
    )


def make_logs(
    keys: LogKeys,
    database: Database,
    bucket: Bucket,
    *,
    clock: Clock | None = None,
    http: httpx2.AsyncClient | None = None,
    retention: Retention | None = None,
    reach: Callable[[str], None] = lambda _point: None,
    turn_ms: int = TURN_MS,
) -> Logs:
    """Put both logs together, as relay/app/relay.py does."""
    clock = clock or SystemClock()
    shelf = TileStore(bucket, clock, retention or Retention())
    witnesses = Witnesses(keys.policy, http=http or keys.http())
    writers = {
        name: Sequencer(
            name,
            signer=signer,
            database=database,
            shelf=shelf,
            witnesses=witnesses,
            clock=clock,
            refresh_ms=refreshing(database),
            reach=reach,
            turn_ms=turn_ms,
        )
        for name, signer in keys.signers.items()
    }
    return Logs(database=database, writers=writers, policy=keys.policy)
