"""A relay with a folder, a database and both logs, which can be backed up, lost and restored.

Witnesses are real and behind HTTP, the database is real; the buckets are memory.
"""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from relay.backup.manifest import Manifest
from relay.backup.online_backup import Surroundings, back_up
from relay.backup.restore import Around, Restored, Wanted, restore
from relay.base.clock import Clock, SystemClock
from relay.cli.init import InitSettings, init
from relay.config.loader import load
from relay.config.settings import Config
from relay.config.values import Address
from relay.custody.errors import contradiction_in
from relay.custody.log_entries import LogName
from relay.custody.logs import Logs
from relay.custody.witnesses import Witnesses
from relay.store.database import Database
from tests.fakes.log_house import NAME, LogKeys, MemoryBucket, make_keys, make_logs
from tests.relay.databases import url_of

SETTINGS = InitSettings(
    data_dir=Path(),
    listen=Address(host="127.0.0.1", port=8400),
    public_url="http://localhost:8400",
    owner_origin="http://localhost:8401",
    mqtt_port=8403,
    nats_port=8404,
    s3_port=8405,
)


@dataclass
class PackagesInMemory:
    """Implements `PackageShelf`."""

    objects: dict[str, bytes] = field(default_factory=dict)

    async def ensure_bucket(self, allowed_origin: str) -> None:
        pass

    async def has(self, key: str) -> bool:
        return key in self.objects

    async def save(self, key: str, path: Path) -> bool:
        if key not in self.objects:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.objects[key])
        return True

    async def put_file(self, key: str, path: Path) -> None:
        self.objects.setdefault(key, path.read_bytes())


@dataclass
class LosableRelay:
    """One relay's folder and what lies around it."""

    root: Path
    keys: LogKeys
    clock: Clock = field(default_factory=SystemClock)
    log_bucket: MemoryBucket = field(default_factory=MemoryBucket)
    packages: PackagesInMemory = field(default_factory=PackagesInMemory)
    _running: asyncio.Task[None] | None = None

    @property
    def config_path(self) -> Path:
        return self.root / "relay" / "relay.toml"

    @property
    def config(self) -> Config:
        return load(self.config_path)

    @contextlib.asynccontextmanager
    async def running(self, config: Config | None = None) -> AsyncIterator[tuple[Database, Logs]]:
        """Run both logs on the relay's database; whatever ends them is raised."""
        database = await Database.open((config or self.config).database, is_migrating=True)
        logs = make_logs(self.keys, database, self.log_bucket, clock=self.clock)
        self._running = task = asyncio.create_task(logs.run())
        try:
            yield database, logs
        finally:
            task.cancel()
            (outcome,) = await asyncio.gather(task, return_exceptions=True)
            await database.close()
        if isinstance(outcome, BaseExceptionGroup):
            raise contradiction_in(outcome) or outcome

    async def publish(
        self, *texts: str, log: LogName = "custody", config: Config | None = None
    ) -> None:
        """Add entries, each under itself as its key, and wait until all are published."""
        async with self.running(config) as (database, logs):
            async with database.begin() as tx:
                pending = [await logs.add(tx, log, text.encode(), key=text) for text in texts]
            published = asyncio.create_task(logs.logged(pending[-1]))  # and all before it
            assert self._running is not None
            await asyncio.wait({self._running, published}, return_when=asyncio.FIRST_COMPLETED)
            if published.done():
                published.result()
            published.cancel()

    async def back_up(self, out: Path, *, has_packages: bool = True) -> Manifest:
        around = Surroundings(packages=self.packages, log_shelf=self.log_bucket, clock=self.clock)
        return await back_up(self.config_path, self.config, out, around, has_packages=has_packages)

    async def restore(self, source: Path, to: Path, **wanted: object) -> Restored:
        url = url_of(to / "relay.sqlite3") or None
        return await restore(
            source,
            Wanted(**{"data_dir": to, "database_url": url, **wanted}),  # type: ignore[arg-type]
            self._around,
        )

    def lose_all(self) -> None:
        """The machine with the relay and both buckets burns down; backup and witnesses don't."""
        shutil.rmtree(self.root / "relay")
        self.log_bucket = MemoryBucket()
        self.packages = PackagesInMemory()

    def lose_all_but(self, folder: Path) -> None:
        """The same for one that was restored into `folder`."""
        shutil.rmtree(folder)
        self.log_bucket = MemoryBucket()
        self.packages = PackagesInMemory()

    def lose_machine(self) -> None:
        """The buckets are elsewhere, and stay."""
        shutil.rmtree(self.root / "relay")

    def _around(self, _config: Config) -> Around:
        return Around(
            packages=self.packages,
            log_bucket=self.log_bucket,
            witnesses=Witnesses(self.keys.policy, http=self.keys.http()),
            clock=self.clock,
        )


async def make_relay(root: Path) -> LosableRelay:
    """Let `init` write one, with the keys of both logs and their policy."""
    folder = root / "relay"
    settings = replace(SETTINGS, data_dir=folder, database_url=url_of(folder / "relay.sqlite3"))
    await init(settings, SystemClock())
    keys = make_keys(root / "witnesses")
    for name, signer in keys.signers.items():
        path = folder / f"log-{name}.key"
        path.write_text(signer.saved() + "\n")
        path.chmod(0o600)
    (folder / "policy.txt").write_bytes(keys.policy_text)
    with (folder / "relay.toml").open("a") as file:
        file.write(
            f'\n[log]\nname = "{NAME}"\nregister_key = "log-register.key"\n'
            'custody_key = "log-custody.key"\npolicy = "policy.txt"\n'
        )
    return LosableRelay(root=root, keys=keys)


def files_in(folder: Path) -> Iterator[Path]:
    """Yield every file beneath a folder."""
    yield from (path for path in folder.rglob("*") if path.is_file())
