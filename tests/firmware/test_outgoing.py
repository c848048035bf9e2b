"""firmware.outbox.outgoing: sealed packages lie whole on the card, whatever their size."""

import hashlib
import itertools
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from firmware.errors import PackageDamaged, PackageOfAnotherVersion, StoreError, UploadError
from firmware.outbox.outgoing import MAX_PARTS, PART_BYTES, Outgoing, part_bytes_for
from firmware.protocol.commands import Command, PartTicket, UploadTicket
from firmware.protocol.encoding import MAX_MQTT_BYTES, new_id
from firmware.protocol.events import MAX_PACKAGE_BYTES, Event, PackageUploaded, UploadedPart
from firmware.system import durable_files
from tests.fakes.releases import opening_of

MIB = 1024 * 1024
AWS_URL_CHARS = 1150
"""Longer than a URL of S3 with temporary credentials' usual parameters and a long upload id."""


@pytest.fixture
def outgoing(tmp_path: Path) -> Outgoing:
    return Outgoing(tmp_path / "outgoing")


def put(outgoing: Outgoing, sealed: Iterator[bytes] | list[bytes] | bytes):
    return outgoing.put(
        package_id=new_id(),
        request_id=new_id(),
        agency="lakeland",
        opening=opening_of(),
        sealed=sealed,
    )


def test_pieces_become_the_same_package_as_the_whole(outgoing: Outgoing) -> None:
    whole = bytes(range(256)) * 4 * 1024 * 9  # 9 MiB
    one = put(outgoing, whole)
    other = put(outgoing, (whole[i : i + 1000] for i in range(0, len(whole), 1000)))
    assert one.part_sha256 == other.part_sha256
    assert one.size_bytes == other.size_bytes == len(whole)
    assert one.part_sha256[1] == hashlib.sha256(whole[PART_BYTES:]).hexdigest()


@pytest.mark.parametrize(
    "size_bytes",
    [1, PART_BYTES, 100 * PART_BYTES, 100 * PART_BYTES + 1, 1_500_000_000, MAX_PACKAGE_BYTES],
)
def test_a_package_has_no_more_parts_than_a_message_can_name(size_bytes: int) -> None:
    part_bytes = part_bytes_for(size_bytes)
    count = -(-size_bytes // part_bytes)
    assert count <= MAX_PARTS
    assert PART_BYTES <= part_bytes <= 64 * MIB
    assert (count - 1) * part_bytes < size_bytes <= count * part_bytes


def test_the_longest_ticket_and_the_longest_answer_fit_into_a_message() -> None:
    package_id, digest = new_id(), "f" * 64
    parts = [
        PartTicket(number=n, sha256=digest, url="https://" + "u" * (AWS_URL_CHARS - 8))
        for n in range(1, MAX_PARTS + 1)
    ]
    command = Command(
        id=new_id(),
        device="a" * 20,
        time_ms=2**41,
        expires_ms=2**41,
        body=UploadTicket(package_id=package_id, parts=parts),
    )
    assert len(command.encode()) <= MAX_MQTT_BYTES - 1024
    uploaded = [
        UploadedPart(number=n, etag="e" * 200, sha256=digest) for n in range(1, MAX_PARTS + 1)
    ]
    event = Event(
        id=new_id(),
        device="a" * 20,
        seq=2**50,
        time_ms=2**41,
        is_clock_trusted=True,
        body=PackageUploaded(package_id=package_id, parts=uploaded),
    )
    assert len(event.encode()) <= MAX_MQTT_BYTES - 1024


def test_a_package_larger_than_allowed_is_refused_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firmware.outbox.outgoing.MAX_PACKAGE_BYTES", MIB)
    outgoing = Outgoing(tmp_path / "outgoing")
    with pytest.raises(StoreError, match="release fewer clips"):
        put(outgoing, [b"x" * MIB, b"y"])
    with pytest.raises(StoreError, match="empty"):
        put(outgoing, b"")
    assert list((tmp_path / "outgoing").iterdir()) == []


def test_a_source_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    def failing() -> Iterator[bytes]:
        yield b"x" * MIB
        raise OSError("the clip can't be read")

    outgoing = Outgoing(tmp_path / "outgoing")
    with pytest.raises(OSError, match="the clip"):
        put(outgoing, failing())
    assert list((tmp_path / "outgoing").iterdir()) == []


def test_a_start_clears_away_what_never_became_whole(tmp_path: Path) -> None:
    folder = tmp_path / "outgoing"
    outgoing = Outgoing(folder)
    ready = put(outgoing, b"whole")
    (folder / "aaaa.bin.new").write_bytes(b"half")
    (folder / "bbbb.bin").write_bytes(b"never announced")
    assert Outgoing(folder).here() == [ready.package_id]
    assert Outgoing(folder).announced(ready.package_id) == ready
    assert {path.name for path in folder.iterdir()} == {
        f"{ready.package_id}.bin",
        f"{ready.package_id}.json",
    }


def test_a_part_is_found_to_have_rotted(tmp_path: Path) -> None:
    outgoing = Outgoing(tmp_path / "outgoing")
    ready = put(outgoing, b"x" * (PART_BYTES + 10))
    path = tmp_path / "outgoing" / f"{ready.package_id}.bin"
    with path.open("r+b") as file:
        file.seek(PART_BYTES + 3)
        file.write(b"y")
    assert outgoing.is_intact(ready, 1)
    assert not outgoing.is_intact(ready, 2)
    with path.open("r+b") as file:
        file.truncate(PART_BYTES - 1)
    assert not outgoing.is_intact(ready, 1)


def test_keeping_and_reading_a_package_needs_no_memory_of_its_size(outgoing: Outgoing) -> None:
    piece = b"x" * MIB
    put(outgoing, [piece])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ready = put(outgoing, (piece for _ in range(200)))
    assert all(outgoing.is_intact(ready, n) for n in range(1, len(ready.part_sha256) + 1))
    grown_mib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown_mib < 50


def test_a_damaged_package_is_set_aside_and_the_others_stay(tmp_path: Path) -> None:
    """Seen to fail with the error of one let out of `damaged`."""
    folder = tmp_path / "outgoing"
    damaged, whole = (put(Outgoing(folder), b"sealed") for _ in range(2))
    (folder / f"{damaged.package_id}.json").write_bytes(b"\0" * 64)
    for outgoing in (Outgoing(folder), Outgoing(folder)):
        assert outgoing.damaged() == {damaged.package_id}
        assert outgoing.announced(whole.package_id) == whole
        with pytest.raises(PackageDamaged):
            outgoing.announced(damaged.package_id)
    outgoing.discard(damaged.package_id)
    assert outgoing.damaged() == frozenset()
    assert not outgoing.has(damaged.package_id)
    assert outgoing.has(whole.package_id)


def test_a_package_that_the_card_does_not_give_up_keeps_no_other_back(tmp_path: Path) -> None:
    folder = tmp_path / "outgoing"
    outgoing = Outgoing(folder)
    unreadable, whole = put(outgoing, b"sealed"), put(outgoing, b"sealed")
    path = folder / f"{unreadable.package_id}.json"
    path.unlink()
    path.mkdir()
    assert outgoing.damaged() == frozenset(), "it may be read later"
    assert outgoing.announced(whole.package_id) == whole


@pytest.mark.parametrize("failing", ["a folder's names", "a name that goes"])
def test_what_the_card_did_not_take_whole_is_not_there_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """Seen to fail (announced without its bytes) with the .bin alone deleted."""
    folder = tmp_path / "outgoing"
    outgoing, real, count = Outgoing(folder), durable_files.sync_folder, itertools.count()

    def fail_at_second(path: Path) -> None:
        if next(count) == 1:
            raise OSError(5, "input/output error")
        real(path)

    with monkeypatch.context() as patched:
        package_id = new_id()
        if failing == "a folder's names":
            patched.setattr(durable_files, "sync_folder", fail_at_second)
        else:
            (folder / f"{package_id}.damaged").mkdir()  # can't be unlinked
        with pytest.raises(OSError, match=r"Is a directory|input/output"):
            outgoing.put(
                package_id=package_id,
                request_id=new_id(),
                agency="lakeland",
                opening=opening_of(),
                sealed=b"sealed",
            )
    for one in (outgoing, Outgoing(folder)):
        with pytest.raises(UploadError):
            one.announced(package_id)
    assert not list(folder.glob("*.json")) + list(folder.glob("*.bin"))


def test_a_reader_sets_nothing_aside(tmp_path: Path) -> None:
    """Tickets and pages read while another package is being sealed."""
    outgoing = Outgoing(tmp_path / "outgoing")
    ready = put(outgoing, b"sealed")
    path = tmp_path / "outgoing" / f"{ready.package_id}.json"
    path.write_bytes(b"{spoilt")
    with pytest.raises(PackageDamaged):
        outgoing.announced(ready.package_id)
    assert not outgoing.is_uploaded(ready.package_id)
    assert outgoing.here() == [ready.package_id]
    assert path.exists()
    assert outgoing.damaged() == {ready.package_id}
    assert not path.exists()


def test_what_another_version_wrote_is_kept_for_it(tmp_path: Path) -> None:
    """Seen to fail (set aside, and its bytes deleted at a start) with it taken for spoilt."""
    folder = tmp_path / "outgoing"
    ready = put(Outgoing(folder), b"sealed")
    path = folder / f"{ready.package_id}.json"
    newer = path.read_bytes()[:-1] + b',"zone":"north"}'
    path.write_bytes(newer)
    for outgoing in (Outgoing(folder), Outgoing(folder)):
        assert outgoing.damaged() == frozenset()
        with pytest.raises(PackageOfAnotherVersion):
            outgoing.announced(ready.package_id)
    assert path.read_bytes() == newer
    assert path.with_suffix(".bin").read_bytes() == b"sealed"


def test_one_whose_bytes_are_gone_is_damaged(tmp_path: Path) -> None:
    folder = tmp_path / "outgoing"
    ready = put(Outgoing(folder), b"sealed")
    (folder / f"{ready.package_id}.bin").unlink()
    assert Outgoing(folder).damaged() == {ready.package_id}


def test_of_a_damaged_package_only_what_says_that_it_was_sent_outlasts_a_start(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "outgoing"
    outgoing = Outgoing(folder)
    sent, unsent = put(outgoing, b"sealed"), put(outgoing, b"sealed")
    part = UploadedPart(number=1, etag="e", sha256="f" * 64)
    outgoing.remember(sent.package_id, "u", {1: part})
    for ready in (sent, unsent):
        (folder / f"{ready.package_id}.json").write_bytes(b"")
    assert len(outgoing.damaged()) == 2
    later = Outgoing(folder)
    assert later.is_uploaded(sent.package_id)
    assert not later.is_uploaded(unsent.package_id)
    assert [path.stem for path in folder.glob("*.bin")] == [sent.package_id]


def test_what_arrives_while_it_is_looked_at_is_not_called_damaged(
    outgoing: Outgoing, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = put(outgoing, b"sealed")

    def arrives(package_id: str) -> None:
        outgoing.discard(package_id)
        raise PackageDamaged(package_id, "its sealed bytes are gone from the memory card")

    monkeypatch.setattr(outgoing, "announced", arrives)
    assert outgoing.here() == [ready.package_id]
    assert outgoing.damaged() == frozenset()
