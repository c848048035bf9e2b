"""firmware.outbox.uploader: a package goes to its bucket, whole, and nowhere else."""

import asyncio
import contextlib
import hashlib
import random
import resource
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from firmware.decisions.uploads import Standing, Uploads
from firmware.errors import TicketRefused, UploadFailed
from firmware.outbox.bucket import Bucket
from firmware.outbox.outgoing import PART_BYTES, Outgoing, part_bytes_for
from firmware.outbox.uploader import PARTS_AT_ONCE, TRIES, Uploader
from firmware.protocol.commands import PackageArrived, PartTicket, UploadTicket
from firmware.protocol.encoding import new_id
from firmware.protocol.events import EventBody, PackageReady, PackageUploaded
from tests.fakes.buckets import PartBucket, run_part_bucket
from tests.fakes.events import PublishedEvents
from tests.fakes.releases import opening_of, released
from tests.fakes.waiting import PATIENCE_S

SEALED = b"".join(bytes([i]) * 1024 * 1024 for i in range(17))
"""Three parts: 8, 8 and 1 MiB."""


class Bench:
    """One package in its folder, its bucket, and an uploader that sleeps in no time."""

    def __init__(self, folder: Path, bucket: PartBucket) -> None:
        self.folder = folder
        self.bucket = bucket
        self.slept_s: list[float] = []
        self.outgoing = Outgoing(folder)
        self.ready: PackageReady = self.outgoing.put(
            package_id=new_id(),
            request_id=new_id(),
            agency="lakeland",
            opening=opening_of(),
            sealed=SEALED,
        )

    def uploader(self) -> Uploader:
        """A fresh one, as after a restart."""

        return Uploader(
            outgoing=Outgoing(self.folder),
            bucket=Bucket(
                self.bucket.origin, parts_at_once=PARTS_AT_ONCE, stall_timeout_s=PATIENCE_S
            ),
            source=random.Random(1),
            sleep=self.sleep,
        )

    async def sleep(self, seconds: float) -> None:
        """Wait in no time."""
        self.slept_s.append(seconds)

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
def bucket() -> Iterator[PartBucket]:
    with run_part_bucket() as bucket:
        yield bucket


@pytest.fixture
def bench(tmp_path: Path, bucket: PartBucket) -> Bench:
    return Bench(tmp_path / "outgoing", bucket)


class AllReleased:
    """Implements `firmware.decisions.uploads.PackageStandings`."""

    def standing(self, _package_id: str) -> Standing:
        return "released"


def numbers_of(paths: list[str]) -> list[int]:
    return sorted(int(parse_qs(urlsplit(path).query)["partNumber"][0]) for path in paths)


async def test_all_parts_arrive_whole_and_in_order(bench: Bench) -> None:
    parts = await bench.uploader().upload(bench.ticket())
    by_number = sorted(bench.bucket.puts, key=lambda path: numbers_of([path]))
    assert b"".join(bench.bucket.parts[path] for path in by_number) == SEALED
    assert [part.number for part in parts] == [1, 2, 3]
    assert [part.sha256 for part in parts] == bench.ready.part_sha256
    assert {part.etag for part in parts} == {'"etag"'}


async def test_the_presigned_query_is_sent_as_it_was_signed(bench: Bench) -> None:
    await bench.uploader().upload(bench.ticket())
    expected = "/evidence/package?partNumber=1&uploadId=u1&X-Amz-Signature=s%2Fs"
    assert expected in bench.bucket.puts
    assert bench.bucket.hosts == {f"127.0.0.1:{bench.bucket.server_port}"}


async def test_the_announcement_says_what_will_be_sent(bench: Bench) -> None:
    assert bench.ready.size_bytes == len(SEALED)
    assert bench.ready.part_bytes == PART_BYTES
    pieces = [SEALED[:PART_BYTES], SEALED[PART_BYTES : 2 * PART_BYTES], SEALED[2 * PART_BYTES :]]
    assert bench.ready.part_sha256 == [hashlib.sha256(piece).hexdigest() for piece in pieces]


async def test_a_restart_sends_only_what_is_missing(bench: Bench) -> None:
    bench.bucket.statuses = [200, 200, 403]
    with pytest.raises(TicketRefused, match="403"):
        await bench.uploader().upload(bench.ticket())
    assert not bench.outgoing.is_uploaded(bench.ready.package_id)
    taken = numbers_of(list(bench.bucket.parts))
    assert len(taken) == 2
    bench.bucket.puts.clear()
    parts = await bench.uploader().upload(bench.ticket())
    assert len(parts) == 3
    assert numbers_of(bench.bucket.puts) == sorted({1, 2, 3} - set(taken))
    assert bench.outgoing.is_uploaded(bench.ready.package_id)


async def test_what_is_under_way_when_another_part_fails_is_finished_and_noted(
    bench: Bench,
) -> None:
    bench.bucket.statuses = [403]
    with pytest.raises(TicketRefused, match="403"):
        await bench.uploader().upload(bench.ticket())
    noted = bench.outgoing.uploaded_parts(bench.ready.package_id)
    assert [part.number for part in noted] == numbers_of(list(bench.bucket.parts))
    assert len(bench.bucket.puts) == 2


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


async def test_an_upload_that_the_bucket_lost_begins_anew_with_words(bench: Bench) -> None:
    bench.bucket.statuses = [200, 404, 404]
    with pytest.raises(TicketRefused, match="no longer knows this upload: begin anew"):
        await bench.uploader().upload(bench.ticket(upload_id="u1"))
    bench.bucket.puts.clear()
    bench.bucket.statuses.clear()  # the other part that was under way may have met its own or not
    assert len(await bench.uploader().upload(bench.ticket(upload_id="u2"))) == 3
    assert numbers_of(bench.bucket.puts) == [1, 2, 3]


async def test_a_bucket_that_stumbles_is_tried_again_later_and_later(bench: Bench) -> None:
    bench.bucket.statuses = [500, 503, 429, 408, 502]
    assert len(await bench.uploader().upload(bench.ticket())) == 3
    assert len(bench.slept_s) == 5
    assert min(bench.slept_s) >= 0.25


async def test_a_bucket_that_is_gone_is_given_up_after_some_tries(bench: Bench) -> None:
    uploader, ticket = bench.uploader(), bench.ticket()
    bench.bucket.statuses = [500] * TRIES * 3
    with pytest.raises(UploadFailed):
        await uploader.upload(ticket)
    assert TRIES - 1 <= len(bench.slept_s) <= (TRIES - 1) * PARTS_AT_ONCE


async def test_a_bucket_that_says_nothing_is_given_up(tmp_path: Path, bucket: PartBucket) -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as silent:
        bench = Bench(tmp_path / "outgoing", bucket)
        ticket = bench.ticket(f"http://127.0.0.1:{silent.getsockname()[1]}")
        uploader = Uploader(
            outgoing=bench.outgoing,
            bucket=Bucket(
                f"http://127.0.0.1:{silent.getsockname()[1]}",
                parts_at_once=PARTS_AT_ONCE,
                stall_timeout_s=0.05,
            ),
            source=random.Random(1),
            sleep=bench.sleep,
        )
        async with asyncio.timeout(PATIENCE_S):
            with pytest.raises(UploadFailed):
                await uploader.upload(ticket)


async def test_an_upload_that_is_ended_lets_go_of_the_network_at_once(
    tmp_path: Path, bucket: PartBucket
) -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as silent:
        origin = f"http://127.0.0.1:{silent.getsockname()[1]}"
        bench = Bench(tmp_path / "outgoing", bucket)
        uploader = Uploader(
            outgoing=bench.outgoing,
            bucket=Bucket(origin, parts_at_once=1, stall_timeout_s=60),
            source=random.Random(1),
        )
        upload = asyncio.create_task(uploader.upload(bench.ticket(origin)))
        connection, _ = await asyncio.to_thread(silent.accept)
        with contextlib.closing(connection):
            upload.cancel()
            async with asyncio.timeout(PATIENCE_S):
                await asyncio.wait([upload])
                while await asyncio.to_thread(connection.recv, 1 << 20):
                    continue
        assert upload.cancelled()


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
    assert numbers_of(bench.bucket.puts) in ([1], [1, 2])


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
    bench.bucket.statuses = [500, 200, 403, 403]
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
        uploader=bench.uploader(),
        outgoing=bench.outgoing,
        events=PublishedEvents(told.put),
        standings=AllReleased(),
        retry_s=0.0,
    )
    await uploads.on_ticket(bench.ticket())
    async with asyncio.timeout(PATIENCE_S):
        assert await told.get() == bench.ready


async def test_a_package_is_kept_until_it_has_arrived(bench: Bench) -> None:
    told: asyncio.Queue[EventBody] = asyncio.Queue()
    uploads = Uploads(
        uploader=bench.uploader(),
        outgoing=bench.outgoing,
        events=PublishedEvents(told.put),
        standings=AllReleased(),
    )
    await uploads.on_ticket(bench.ticket())
    async with asyncio.timeout(PATIENCE_S):
        uploaded = await told.get()
    assert isinstance(uploaded, PackageUploaded)
    await asyncio.sleep(0)  # the task ends
    assert bench.outgoing.is_uploaded(bench.ready.package_id)
    await uploads.on_arrived(PackageArrived(package_id=bench.ready.package_id))
    assert list(bench.folder.iterdir()) == []
    await uploads.on_arrived(PackageArrived(package_id=bench.ready.package_id))  # told twice


async def test_a_package_that_was_lost_behind_the_last_part_is_sent_anew(bench: Bench) -> None:
    told: asyncio.Queue[EventBody] = asyncio.Queue()
    uploads = Uploads(
        uploader=bench.uploader(),
        outgoing=bench.outgoing,
        events=PublishedEvents(told.put),
        standings=AllReleased(),
    )
    async with asyncio.timeout(PATIENCE_S):
        for upload_id in ("u1", "u2"):
            bench.bucket.puts.clear()
            await uploads.on_ticket(bench.ticket(upload_id=upload_id))
            assert isinstance(await told.get(), PackageUploaded)
            assert numbers_of(bench.bucket.puts) == [1, 2, 3]
            await asyncio.sleep(0)


async def test_a_package_that_is_taken_back_stops_at_once(tmp_path: Path) -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as silent:
        origin = f"http://127.0.0.1:{silent.getsockname()[1]}"
        outgoing = Outgoing(tmp_path / "outgoing")
        ready = outgoing.put(
            package_id=new_id(),
            request_id=new_id(),
            agency="lakeland",
            opening=opening_of(),
            sealed=SEALED,
        )
        parts = [
            PartTicket(number=number, sha256=digest, url=f"{origin}/p?uploadId=u")
            for number, digest in enumerate(ready.part_sha256, start=1)
        ]
        told: asyncio.Queue[EventBody] = asyncio.Queue()
        uploader = Uploader(
            outgoing=outgoing,
            bucket=Bucket(origin, parts_at_once=PARTS_AT_ONCE, stall_timeout_s=60),
            source=random.Random(1),
        )
        uploads = Uploads(
            uploader=uploader,
            outgoing=outgoing,
            events=PublishedEvents(told.put),
            standings=AllReleased(),
        )
        await uploads.on_ticket(UploadTicket(package_id=ready.package_id, parts=parts))
        connection, _ = await asyncio.to_thread(silent.accept)
        with contextlib.closing(connection):
            async with asyncio.timeout(PATIENCE_S):
                await uploads.stop(ready.package_id)
        assert list((tmp_path / "outgoing").iterdir()) == []
        assert told.empty()


async def test_a_start_announces_what_is_not_uploaded_and_says_again_what_is(bench: Bench) -> None:
    told: asyncio.Queue[EventBody] = asyncio.Queue()
    uploads = Uploads(
        uploader=bench.uploader(),
        outgoing=bench.outgoing,
        events=PublishedEvents(told.put),
        standings=AllReleased(),
    )
    await uploads.resume([])
    assert await told.get() == bench.ready
    await bench.uploader().upload(bench.ticket())
    await uploads.resume([])
    assert isinstance(await told.get(), PackageUploaded)


async def test_a_package_of_1_5_gb_goes_in_a_hundred_parts_and_little_memory(
    tmp_path: Path, bucket: PartBucket
) -> None:
    """The file is sparse: it takes no room on the card."""
    bucket.is_keeping = False
    bench = Bench(tmp_path / "outgoing", bucket)
    bench.ready = sparse_package(bench.folder, 1_500_000_000)
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    parts = await bench.uploader().upload(bench.ticket())
    grown_mib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib) / 1024
    assert len(parts) == len(bench.ready.part_sha256) == 96
    assert bucket.received_bytes == 1_500_000_000
    assert grown_mib < 64


def sparse_package(folder: Path, size_bytes: int) -> PackageReady:
    """Lay down a package of zeros as `Outgoing.put` would."""
    part_bytes = part_bytes_for(size_bytes)
    whole, rest = divmod(size_bytes, part_bytes)
    digests = [hashlib.sha256(bytes(part_bytes)).hexdigest()] * whole
    ready = PackageReady(
        package_id=new_id(),
        request_id=new_id(),
        agency="lakeland",
        size_bytes=size_bytes,
        part_bytes=part_bytes,
        part_sha256=[*digests, hashlib.sha256(bytes(rest)).hexdigest()],
        **released(),
    )
    with (folder / f"{ready.package_id}.bin").open("wb") as file:
        file.truncate(size_bytes)
    (folder / f"{ready.package_id}.json").write_bytes(ready.encode())
    return ready
