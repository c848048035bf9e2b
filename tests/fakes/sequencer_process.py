"""A relay's logs as a program of its own, beside others on one database: for tests of the turn.

What it needs comes as JSON on standard input (`Wanted`); when all that it added is logged, it
prints where. The witnesses are the test's own, behind one port; the bucket is a folder.
"""

import asyncio
import contextlib
import fcntl
import os
import sys
from pathlib import Path

import httpx2
import msgspec

from firmware.protocol.tlog.policy import parse_policy
from firmware.protocol.tlog.signed_note import NoteSigner
from relay.custody.log_entries import LogName
from relay.store.database import Database
from relay.store.objects import ObjectLock
from tests.fakes.log_house import LogKeys, make_logs
from tests.fakes.waiting import PATIENCE_S


class Wanted(msgspec.Struct, kw_only=True):
    """What one such program does."""

    place: str
    """A PostgreSQL URL, or the path of an SQLite file."""
    bucket: str
    witness_port: int
    signers: dict[LogName, str]
    policy: str
    name: str
    count: int


class FolderBucket:
    """Implements `relay.custody.tile_store.Bucket` for several processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def ensure_lockable(self) -> bool:
        return False

    async def put_new(
        self,
        key: str,
        data: bytes,
        *,
        content_type: str,  # noqa: ARG002 (as the real one)
        cache_control: str,  # noqa: ARG002
        lock: ObjectLock | None = None,  # noqa: ARG002
    ) -> bool:
        with contextlib.suppress(FileExistsError):
            os.link(self._beside(key, data), self._folder / key)
            return True
        return False

    async def swap(
        self,
        key: str,
        data: bytes,
        *,
        old: bytes | None,
        content_type: str,  # noqa: ARG002
        cache_control: str,  # noqa: ARG002
    ) -> bool:
        with (self._folder / "lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if await self.get(key, max_bytes=0) != old:
                return False
            self._beside(key, data).replace(self._folder / key)
        return True

    async def get(self, key: str, *, max_bytes: int) -> bytes | None:  # noqa: ARG002
        try:
            return (self._folder / key).read_bytes()
        except FileNotFoundError:
            return None

    async def list_keys(self, prefix: str) -> frozenset[str]:
        paths = (path for path in (self._folder / prefix).rglob("*") if path.is_file())
        return frozenset(str(path.relative_to(self._folder)) for path in paths)

    async def drop_under(self, prefix: str) -> None:
        for key in await self.list_keys(prefix):
            (self._folder / key).unlink(missing_ok=True)

    async def drop_older(self, key: str) -> None:
        """Nothing is kept."""

    def _beside(self, key: str, data: bytes) -> Path:
        path = self._folder / f"{key}.{os.getpid()}.new"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path


class AtPort(httpx2.AsyncBaseTransport):
    """Reaches every host at one port of this machine; the name goes along as the Host header."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._http = httpx2.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        request.url = request.url.copy_with(host="127.0.0.1", port=self._port)
        return await self._http.handle_async_request(request)


async def run(wanted: Wanted) -> list[int]:
    is_file = not wanted.place.startswith("postgresql:")
    database = await Database.open(Path(wanted.place) if is_file else wanted.place)
    keys = LogKeys(
        signers={log: NoteSigner.parse(saved) for log, saved in wanted.signers.items()},
        cosignings={},
        policy=parse_policy(wanted.policy.encode()),
        policy_text=wanted.policy.encode(),
    )
    http = httpx2.AsyncClient(transport=AtPort(wanted.witness_port))
    logs = make_logs(keys, database, FolderBucket(Path(wanted.bucket)), http=http)
    task = asyncio.create_task(logs.run())
    waits = []
    for number in range(wanted.count):
        async with database.begin() as tx:
            key = f"{wanted.name}-{number}"
            pending = await logs.add(tx, "custody", key.encode(), key=key)
        waits.append(asyncio.ensure_future(logs.logged(pending, timeout_s=PATIENCE_S)))
        await asyncio.sleep(0.01)
    logged = await asyncio.gather(*waits)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await database.close()
    return [entry.index for entry in logged]


if __name__ == "__main__":
    found = asyncio.run(run(msgspec.json.decode(sys.stdin.buffer.read(), type=Wanted)))
    sys.stdout.buffer.write(msgspec.json.encode(found))
