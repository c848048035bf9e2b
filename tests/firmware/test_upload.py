"""firmware.outbox.upload: a package goes to its bucket, whole, and nowhere else."""

import asyncio
import base64
import hashlib
import random
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2
import pytest

from firmware.errors import TicketRefused, UploadFailed
from firmware.outbox.outgoing import PART_BYTES, Outgoing
from firmware.outbox.upload import TRIES, Uploader
from firmware.protocol.commands import PartTicket, UploadTicket
from firmware.protocol.encoding import new_id
from firmware.protocol.events import EventBody, PackageReady
from firmware.uploads import Uploads

SEALED = b"".join(bytes([i]) * 1024 * 1024 for i in range(17))
"""Three parts: 8, 8 and 1 MiB."""


class Bucket(ThreadingHTTPServer):
    """Takes parts as a bucket does, checks their SHA-256, and can be told to misbehave."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), BucketHandler)
        self.parts: dict[str, bytes] = {}
        self.puts: list[str] = []
        self.statuses: list[int] = []
        """What to answer the next PUTs with, instead of taking them."""
        self.etag = '"etag"'

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class BucketHandler(BaseHTTPRequestHandler):
    server: Bucket

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.puts.append(self.path)
        status = self.server.statuses.pop(0) if self.server.statuses else 200
        digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
        if self.headers["x-amz-checksum-sha256"] != digest:
            status = 400
        if status == 200:
            self.server.parts[self.path] = data
        self.send_response(status)
        self.send_header("Location", "http://127.0.0.1:1/elsewhere")
        self.send_header("ETag", self.server.etag)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class Bench:
    """One package in its folder, its bucket, and an uploader that sleeps in no time."""

    def __init__(self, folder: Path, bucket: Bucket, http: httpx2.AsyncClient) -> None:
        self.folder = folder
        self.bucket = bucket
        self.http = http
        self.slept_s: list[float] = []
        self.outgoing = Outgoing(folder)
        self.ready: PackageReady = self.outgoing.put(
            package_id=new_id(), request_id=new_id(), agency="lakeland", sealed=SEALED
        )

    def uploader(self) -> Uploader:
        """A fresh one, as after a restart."""

        async def sleep(seconds: float) -> None:
            self.slept_s.append(seconds)

        return Uploader(
            outgoing=Outgoing(self.folder),
            bucket_origin=self.bucket.origin,
            http=self.http,
            source=random.Random(1),
            sleep=sleep,
        )

    def ticket(self, origin: str | None = None, upload_id: str = "u1") -> UploadTicket:
        base = f"{origin or self.bucket.origin}/evidence/package"
        return UploadTicket(
            package_id=self.ready.package_id,
            parts=[
                PartTicket(
                    number=number,
                    sha256=digest,
                    url=f"{base}?partNumber={number}&uploadId={upload_id}&X-Amz-Signature=s%2Fs",
                )
                for number, digest in enumerate(self.ready.part_sha256, start=1)
            ],
        )


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    server = Bucket()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
async def bench(tmp_path: Path, bucket: Bucket) -> AsyncIterator[Bench]:
    async with httpx2.AsyncClient(trust_env=False) as http:
        yield Bench(tmp_path / "outgoing", bucket, http)


async def test_all_parts_arrive_whole_and_in_order(bench: Bench) -> None:
    parts = await bench.uploader().upload(bench.ticket())
    assert b"".join(bench.bucket.parts[path] for path in bench.bucket.puts) == SEALED
    assert [part.number for part in parts] == [1, 2, 3]
    assert [part.sha256 for part in parts] == bench.ready.part_sha256
    assert {part.etag for part in parts} == {'"etag"'}


async def test_the_presigned_query_is_sent_as_it_was_signed(bench: Bench) -> None:
    await bench.uploader().upload(bench.ticket())
    expected = "/evidence/package?partNumber=1&uploadId=u1&X-Amz-Signature=s%2Fs"
    assert bench.bucket.puts[0] == expected


async def test_the_announcement_says_what_will_be_sent(bench: Bench) -> None:
    assert bench.ready.size_bytes == len(SEALED)
    assert bench.ready.part_bytes == PART_BYTES
    pieces = [SEALED[:PART_BYTES], SEALED[PART_BYTES : 2 * PART_BYTES], SEALED[2 * PART_BYTES :]]
    assert bench.ready.part_sha256 == [hashlib.sha256(piece).hexdigest() for piece in pieces]


async def test_a_restart_sends_only_what_is_missing(bench: Bench) -> None:
    bench.bucket.statuses = [200, 403]
    with pytest.raises(TicketRefused, match="403"):
        await bench.uploader().upload(bench.ticket())
    assert [ready.package_id for ready in bench.outgoing.waiting()] == [bench.ready.package_id]
    bench.bucket.puts.clear()
    parts = await bench.uploader().upload(bench.ticket())
    assert len(parts) == 3
    assert [path.split("&")[0][-1] for path in bench.bucket.puts] == ["2", "3"]
    assert bench.outgoing.waiting() == []
    assert bench.outgoing.uploaded() == [bench.ready.package_id]


async def test_a_finished_upload_asked_for_again_sends_nothing(bench: Bench) -> None:
    first = await bench.uploader().upload(bench.ticket())
    bench.bucket.puts.clear()
    assert await bench.uploader().upload(bench.ticket()) == first
    assert bench.bucket.puts == []


async def test_another_multipart_upload_begins_from_the_first_part(bench: Bench) -> None:
    await bench.uploader().upload(bench.ticket(upload_id="u1"))
    bench.bucket.puts.clear()
    await bench.uploader().upload(bench.ticket(upload_id="u2"))
    assert len(bench.bucket.puts) == 3


async def test_a_bucket_that_stumbles_is_tried_again_later_and_later(bench: Bench) -> None:
    bench.bucket.statuses = [500, 503, 429]
    assert len(await bench.uploader().upload(bench.ticket())) == 3
    assert len(bench.slept_s) == 3
    assert bench.slept_s == sorted(bench.slept_s)


async def test_a_bucket_that_is_gone_is_given_up_after_some_tries(bench: Bench) -> None:
    ticket = bench.ticket()
    bench.bucket.server_close()
    bench.bucket.statuses = [500] * TRIES
    with pytest.raises(UploadFailed):
        await bench.uploader().upload(ticket)
    assert len(bench.slept_s) == TRIES - 1


@pytest.mark.parametrize(
    "origin",
    [
        "http://127.0.0.1:{other}",
        "http://localhost:{port}",
        "https://127.0.0.1:{port}",
        "http://evil.example",
        "http://127.0.0.1:{port}@evil.example",
        "http://someone@127.0.0.1:{port}",
        "http://127.0.0.1:{port}.evil.example",
        "//127.0.0.1:{port}",
        "file://127.0.0.1:{port}",
        "http://[::",
    ],
)
async def test_nothing_is_sent_to_another_place_than_the_bucket(bench: Bench, origin: str) -> None:
    port = bench.bucket.server_port
    ticket = bench.ticket(origin.format(port=port, other=port + 1))
    with pytest.raises(TicketRefused):
        await bench.uploader().upload(ticket)
    assert bench.bucket.puts == []


async def test_one_foreign_part_stops_all_parts(bench: Bench) -> None:
    good, foreign = bench.ticket(), bench.ticket("http://evil.example")
    mixed = UploadTicket(package_id=good.package_id, parts=[*good.parts[:2], foreign.parts[2]])
    with pytest.raises(TicketRefused):
        await bench.uploader().upload(mixed)
    assert bench.bucket.puts == []


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_no_redirect_is_followed(bench: Bench, status: int) -> None:
    bench.bucket.statuses = [status]
    with pytest.raises(TicketRefused, match=str(status)):
        await bench.uploader().upload(bench.ticket())
    assert len(bench.bucket.puts) == 1


async def test_a_ticket_for_other_parts_is_refused(bench: Bench) -> None:
    ticket = bench.ticket()
    for parts in (ticket.parts[:2], [*ticket.parts, ticket.parts[0]], ticket.parts[1:] * 2):
        with pytest.raises(TicketRefused, match="other parts"):
            await bench.uploader().upload(
                UploadTicket(package_id=ticket.package_id, parts=list(parts))
            )
    assert bench.bucket.puts == []


async def test_a_ticket_for_an_unknown_package_is_refused(bench: Bench) -> None:
    ticket = UploadTicket(package_id=new_id(), parts=bench.ticket().parts)
    with pytest.raises(TicketRefused, match="no such package"):
        await bench.uploader().upload(ticket)


async def test_a_part_that_rotted_on_the_card_is_not_sent(bench: Bench) -> None:
    path = bench.folder / f"{bench.ready.package_id}.bin"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(TicketRefused, match="damaged"):
        await bench.uploader().upload(bench.ticket())
    assert len(bench.bucket.puts) == 2


async def test_an_etag_of_odd_shape_is_refused(bench: Bench) -> None:
    bench.bucket.etag = "e" * 201
    with pytest.raises(TicketRefused, match="ETag"):
        await bench.uploader().upload(bench.ticket())


async def test_errors_and_logs_never_hold_a_presigned_url(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    from firmware.__main__ import start_logging

    start_logging(10)
    caplog.set_level(10)
    bench.bucket.statuses = [500, 200, 403]
    with pytest.raises(TicketRefused) as caught:
        await bench.uploader().upload(bench.ticket())
    assert "X-Amz" not in caplog.text + str(caught.value)


async def test_a_discarded_package_leaves_nothing(bench: Bench) -> None:
    await bench.uploader().upload(bench.ticket())
    bench.outgoing.discard(bench.ready.package_id)
    assert list(bench.folder.iterdir()) == []


async def test_an_upload_that_the_card_failed_is_announced_again(bench: Bench) -> None:
    (bench.folder / f"{bench.ready.package_id}.parts.json").mkdir()  # can't be read or written
    told: asyncio.Queue[EventBody] = asyncio.Queue()
    uploads = Uploads(
        uploader=bench.uploader(), outgoing=bench.outgoing, tell=told.put, retry_s=0.0
    )
    await uploads.on_ticket(bench.ticket())
    async with asyncio.timeout(5):
        assert await told.get() == bench.ready
