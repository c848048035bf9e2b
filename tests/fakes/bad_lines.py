"""One relay's lines to what several share: slow to a witness or the bucket, broken at a commit."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import httpx2

from relay.store.database import Database, Transaction
from relay.store.objects import ObjectLock
from tests.fakes.log_house import LogKeys, MemoryBucket


class Line:
    """Where something is kept waiting; a test sees that it has come, and lets it pass."""

    def __init__(self) -> None:
        self.has_come = asyncio.Event()
        self.is_open = asyncio.Event()

    async def pass_along(self) -> None:
        """Wait here."""
        self.has_come.set()
        await self.is_open.wait()


class SlowBucket:
    """Implements `relay.custody.tile_store.Bucket`: what is swapped or read at some keys takes
    long."""

    def __init__(self, bucket: MemoryBucket, line: Line, *, slow_swaps: Sequence[str] = ()) -> None:
        self._bucket, self._line = bucket, line
        self._slow_swaps = slow_swaps
        self.slow_reads: Sequence[str] = ()

    async def ensure_lockable(self) -> bool:
        return await self._bucket.ensure_lockable()

    async def put_new(
        self,
        key: str,
        data: bytes,
        *,
        content_type: str,
        cache_control: str,  # noqa: ARG002 (as the real one)
        lock: ObjectLock | None = None,
    ) -> bool:
        return await self._bucket.put_new(key, data, content_type=content_type, lock=lock)

    async def swap(
        self,
        key: str,
        data: bytes,
        *,
        old: bytes | None,
        content_type: str,
        cache_control: str,  # noqa: ARG002
    ) -> bool:
        if key in self._slow_swaps:
            await self._line.pass_along()
        return await self._bucket.swap(key, data, old=old, content_type=content_type)

    async def get(self, key: str, *, max_bytes: int) -> bytes | None:
        if key in self.slow_reads:
            await self._line.pass_along()
        return await self._bucket.get(key, max_bytes=max_bytes)

    async def list_keys(self, prefix: str) -> frozenset[str]:
        return await self._bucket.list_keys(prefix)

    async def drop_under(self, prefix: str) -> None:
        await self._bucket.drop_under(prefix)

    async def drop_older(self, key: str) -> None:
        await self._bucket.drop_older(key)


class _SlowWitness(httpx2.AsyncBaseTransport):
    def __init__(self, way: httpx2.AsyncBaseTransport, line: Line, host: str) -> None:
        self._way, self._line, self._host = way, line, host

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        answer = await self._way.handle_async_request(request)
        if request.url.host == self._host and answer.status_code == 200:
            await self._line.pass_along()
        return answer


def http_with_a_slow_witness(keys: LogKeys, line: Line, witness: str) -> httpx2.AsyncClient:
    """Return a client that reaches all witnesses; the cosignatures of one arrive late."""
    return httpx2.AsyncClient(transport=_SlowWitness(keys.transport(), line, f"{witness}.test"))


class BreakingDatabase(Database):
    """A database whose commits fail while a test says so; nothing of them is kept."""

    is_breaking = False

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Transaction]:
        async with super().begin() as tx:
            yield tx
            if self.is_breaking:
                await tx.rollback()
        if self.is_breaking:
            raise ConnectionError("the commit failed")
