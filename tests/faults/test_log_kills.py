"""The sequencer of a log is killed, at each step and at random moments: nothing is lost or forked.

The database, the object store and the three witnesses are the real ones. Whatever anybody could
fetch meanwhile belongs to the one history that there is in the end, and each entry that was added
has exactly one place in it, in the order in which they came. DOORWARD_KILLS=N: so often.
"""

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from msgspec.structs import replace

from firmware.protocol.tlog.merkle import Tree, leaf_hash
from firmware.protocol.tlog.policy import Policy, parse_policy
from relay.__main__ import main as relay_main
from relay.config.loader import load
from relay.config.settings import Config
from relay.custody.log_entries import LogEntries
from relay.errors import ObjectStoreError
from relay.store import logs as rows
from relay.store.database import Database
from relay.store.objects import ObjectStore
from relay.tools.monitor.log_reader import LogReader, ReadLog
from relay.tools.witness.cli import main as witness_main
from tests.fakes.ports import free_port
from tests.fakes.waiting import PATIENCE_S
from tests.relay.servers import run_object_store, wait_for_port

pytestmark = [pytest.mark.services, pytest.mark.slow]

HERE = Path(__file__).parent
NAME = "example.lakeland"
POINTS = (
    "placed", "placed and committed", "tiles written", "cosigned", "stamped",
    "checkpoint written", "published",
)  # fmt: skip
KILLS = int(os.environ.get("DOORWARD_KILLS", "8"))


@dataclass
class LogHouse:
    """A relay's settings with a log, its bucket and its witnesses."""

    config: Config
    policy: Policy
    database: Database
    bucket: ObjectStore
    added: list[bytes] = field(default_factory=list)
    seen: list[bytes] = field(default_factory=list)

    @property
    def path(self) -> Path:
        return self.config.data_dir / "relay.toml"

    def start(self, point: str = "") -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.faults.log_process", str(self.path), point],
            stderr=(self.config.data_dir / "log.log").open("ab"),
            stdout=subprocess.PIPE,
        )

    async def start_ready(self) -> subprocess.Popen[bytes]:
        process = self.start()
        assert process.stdout is not None
        assert await asyncio.to_thread(process.stdout.readline) == b"ready\n"
        return process

    async def add(self, count: int) -> None:
        for _ in range(count):
            entry = f"entry {len(self.added)}".encode()
            async with self.database.begin() as tx:
                await LogEntries().add(tx, "custody", entry, key=entry.decode())
            self.added.append(entry)

    async def look(self) -> None:
        """Fetch what everybody can fetch now."""
        note = None
        with contextlib.suppress(ObjectStoreError):  # the bucket isn't made yet
            note = await self.bucket.get("custody/checkpoint", max_bytes=100_000)
        if note is not None:
            self.seen.append(note)

    async def end_turns(self) -> None:
        """Let the turn of a program that was killed be over, as it is after some seconds."""
        async with self.database.begin() as tx:
            await tx.exec_driver_sql("UPDATE log_heads SET held_until_ms = 0")

    async def wait_until_all_is_published(self) -> None:
        end_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < end_s:
            async with self.database.read() as tx:
                if (await rows.get_head(tx, "custody")).published_size == len(self.added):
                    return
            await asyncio.sleep(0.05)
        raise AssertionError((self.config.data_dir / "log.log").read_text()[-2000:])

    def read(self) -> ReadLog:
        """Read the log whole and check it as a monitor does."""
        reader = LogReader(
            BucketSource(self.bucket), self.policy, name="custody", origin=f"{NAME}/custody"
        )
        return reader.read()


class BucketSource:
    """Implements `relay.tools.monitor.source.Source`."""

    def __init__(self, bucket: ObjectStore) -> None:
        self._bucket = bucket

    def fetch(self, path: str, *, max_bytes: int) -> bytes | None:
        return asyncio.run(self._bucket.get(path, max_bytes=max_bytes))


@pytest.fixture(scope="module")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Config]:
    with run_object_store(tmp_path_factory.mktemp("weed")) as config:
        yield config


@pytest.fixture
async def house(
    object_store: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> AsyncIterator[LogHouse]:
    folder = tmp_path / "relay"
    store = object_store.bucket.endpoint.rsplit(":", 1)[1]
    assert (
        await asyncio.to_thread(
            relay_main, ["init", "--data", str(folder), "--s3-port", store, "--json"]
        )
        == 0
    )
    toml = folder / "relay.toml"
    text = toml.read_text()
    own, other = load(toml).bucket, object_store.bucket
    text = text.replace(own.access_key, other.access_key)
    toml.write_text(text.replace(own.secret_key, other.secret_key))
    relay_main(["log", "init", "--name", "lakeland", "--example", "--config", str(toml)])
    toml.write_text(toml.read_text() + f'bucket = "log-{free_port()}"\n')
    vkeys = [line for line in capsys.readouterr().out.splitlines() if line.startswith(NAME)]
    with contextlib.ExitStack() as stack:
        witnesses = [stack.enter_context(a_witness(tmp_path / w, vkeys, capsys)) for w in "abc"]
        options = [word for witness in witnesses for word in ("--witness", witness)]
        policy_path = folder / "policy.txt"
        relay_main(["log", "policy", *options, "--out", str(policy_path), "--config", str(toml)])
        config = load(toml)
        assert config.log is not None
        database = await Database.open(config.database)
        yield LogHouse(
            config=config,
            policy=parse_policy(policy_path.read_bytes()),
            database=database,
            bucket=ObjectStore(replace(config.bucket, name=config.log.bucket)),
        )
        await database.close()


@contextlib.contextmanager
def a_witness(folder: Path, vkeys: list[str], capsys: pytest.CaptureFixture[str]) -> Iterator[str]:
    folder.mkdir()
    key, data = folder / "key", folder / "data"
    name = f"{folder.name}.example/w"
    witness_main(["keygen", "--name", name, "--key", str(key), "--data", str(data)])
    vkey = capsys.readouterr().out.strip()
    port = free_port()
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "relay.tools.witness.cli", "serve", "--key", str(key)),
                *("--data", str(data), "--listen", f"127.0.0.1:{port}", "--log", *vkeys),
            ],
            stderr=log,
            stdout=log,
        )
    try:
        wait_for_port(port, process)
        yield f"{folder.name}={vkey}@http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


async def check(house: LogHouse) -> None:
    """One history, in which everything is, once and in order."""
    log = await asyncio.to_thread(house.read)
    assert list(log.entries) == house.added

    tree = Tree(map(leaf_hash, log.entries))
    for note in house.seen:
        checkpoint = house.policy.check(note, origin=log.origin).checkpoint
        assert tree.root(checkpoint.size) == checkpoint.root
    async with house.database.read() as tx:
        count = await rows.count_stamps(tx, "custody")
        stamps = await rows.stamps(tx, "custody", 0, count)
    assert len(stamps) == count
    for note in stamps:  # each one that was ever signed by a quorum
        checkpoint = house.policy.check(note, origin=log.origin).checkpoint
        assert tree.root(checkpoint.size) == checkpoint.root


@pytest.mark.parametrize("point", POINTS)
async def test_killed_at_a_step_it_goes_on_where_it_was(house: LogHouse, point: str) -> None:
    await house.add(3)
    process = house.start(point)
    assert await asyncio.to_thread(process.wait, PATIENCE_S) == -signal.SIGKILL
    await house.look()
    await house.end_turns()
    await house.add(2)
    process = house.start(point)  # and once more, with a tree that is there
    assert await asyncio.to_thread(process.wait, PATIENCE_S) == -signal.SIGKILL
    await house.look()
    await house.end_turns()
    process = house.start()
    await house.add(2)
    try:
        await house.wait_until_all_is_published()
    finally:
        process.kill()
        process.wait()
    await house.look()
    await check(house)


async def test_killed_at_random_moments_it_loses_nothing(house: LogHouse) -> None:
    chance, kills = random.Random(12), 0
    # On a busy machine it may be killed before it has published anything: then it counts for less.
    while kills < KILLS or (len(set(house.seen)) <= KILLS // 2 and kills < 5 * KILLS):
        kills += 1
        process = await house.start_ready()
        end = time.monotonic() + chance.uniform(0.0, 1.5)
        while time.monotonic() < end:
            await house.add(chance.randrange(1, 4))
            await house.look()
            await asyncio.sleep(chance.uniform(0, 0.08))
        process.kill()
        process.wait()
        if chance.random() < 0.8:
            await house.end_turns()
    process = house.start()
    try:
        await house.wait_until_all_is_published()
    finally:
        process.kill()
        process.wait()
    await house.look()
    await check(house)
    assert len(set(house.seen)) > KILLS // 2


async def test_two_programs_at_once_that_are_killed_in_turns_make_one_log(house: LogHouse) -> None:
    chance = random.Random(7)
    pair = [await house.start_ready(), await house.start_ready()]
    for number in range(6):
        await house.add(5)
        await asyncio.sleep(chance.uniform(0.3, 1.2))
        await house.look()
        victim = number % 2
        pair[victim].kill()
        pair[victim].wait()
        pair[victim] = await house.start_ready()
    await house.add(1)
    try:
        await house.wait_until_all_is_published()
    finally:
        for process in pair:
            process.kill()
            process.wait()
    await house.look()
    await check(house)
