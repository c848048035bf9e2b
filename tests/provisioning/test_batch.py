"""Many cards with one ledger."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from firmware.protocol.claims import Claim
from firmware.protocol.encoding import b64u, decode
from provisioning.batch import Batch, Order, orders_of
from provisioning.cloud_init import Wishes
from provisioning.errors import LedgerRefused
from provisioning.ledger import LedgerRow, digest_of, open_ledger
from provisioning.targets import Disk
from tests.provisioning.card_images import LENGTH, make_image, needs_fat_tools, read_by_mtools

FILES = {"cmdline.txt": b"root=PARTUUID=1234-02", "config.txt": b"arm_64bit=1"}


def claim(number: int) -> Claim:
    return Claim(
        relay_url="https://relay.example",
        secret=b64u(bytes([number]) * 32),
        ca_sha256="0" * 64,
        expires_ms=1_900_000_000_000,
    )


WISHES = [Wishes(serial=f"dw-{n}", claim=claim(n), policy=None, network=None) for n in range(6)]


def disk(path: Path) -> Disk:
    with path.open("wb") as file:
        file.truncate(LENGTH + 4096 - LENGTH % 4096)
    return Disk(
        path=str(path), size=path.stat().st_size, vendor="", model="file", serial="", refused=None
    )


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "base.img"
    make_image(path, FILES)
    return path


def run(image: Path, ledger_file: Path, disks: list[Disk], gone: str = "") -> list[str | None]:
    def check_same(one: Disk) -> None:
        if one.path == gone:
            raise LedgerRefused("it is gone")

    with open_ledger(ledger_file) as ledger:
        batch = Batch(
            image,
            ledger,
            sha256=None,
            wall_ms=lambda: 1_800_000_000_000,
            check_same=check_same,
            progress_of=lambda _disk: lambda *_: None,
        )
        return [one.why for one in batch.run(orders_of(disks, WISHES, ledger))]


@needs_fat_tools
def test_each_card_has_a_claim_of_its_own_and_the_ledger_knows(image: Path, tmp_path: Path):
    disks = [disk(tmp_path / f"card{n}") for n in range(3)]
    book = tmp_path / "ledger.jsonl"
    assert run(image, book, disks) == [None, None, None]
    found = [decode(Claim, read_by_mtools(Path(d.path), "doorward/claim.json")) for d in disks]
    assert found == [claim(0), claim(1), claim(2)]
    with open_ledger(book) as ledger:
        assert [row.step for row in ledger.rows].count("done") == 3
    assert not any(one.secret in book.read_text() for one in found)


@needs_fat_tools
def test_a_second_batch_takes_the_claims_that_are_left(image: Path, tmp_path: Path):
    book = tmp_path / "ledger.jsonl"
    run(image, book, [disk(tmp_path / "a"), disk(tmp_path / "b")])
    third = disk(tmp_path / "c")
    run(image, book, [third])
    assert decode(Claim, read_by_mtools(Path(third.path), "doorward/claim.json")) == claim(2)


@needs_fat_tools
def test_a_card_that_fails_stops_no_other_and_costs_its_claim(image: Path, tmp_path: Path):
    small = disk(tmp_path / "small")
    with Path(small.path).open("r+b") as file:
        file.truncate(8 * 1024 * 1024)
    good, book = disk(tmp_path / "good"), tmp_path / "ledger.jsonl"
    first, second = run(image, book, [small, good])
    assert first is not None
    assert "larger card" in first
    assert second is None
    with open_ledger(book) as ledger:
        (failed,) = [row for row in ledger.rows if row.step == "failed"]
        assert failed.serial == "dw-0"
        assert ledger.is_taken(claim(0))
        again = orders_of([small], WISHES, ledger)
    assert again[0].wishes.claim == claim(2)


def row(**changed: object) -> LedgerRow:
    fields = {
        "at_ms": 1,
        "step": "taken",
        "serial": "dw-0",
        "claim": digest_of(claim(0)),
        "claim_ends_ms": 2,
        "card": "32000000000 Generic",
        **changed,
    }
    return LedgerRow(**fields)  # type: ignore[arg-type]


def test_a_claim_is_taken_once_whatever_happens_after(tmp_path: Path):
    with open_ledger(tmp_path / "ledger") as ledger:
        ledger.add(row())
    with open_ledger(tmp_path / "ledger") as ledger, pytest.raises(LedgerRefused, match="twice"):
        ledger.add(row(serial="dw-9"))


def test_a_torn_line_is_dropped_and_a_damaged_one_is_told(tmp_path: Path):
    path = tmp_path / "ledger"
    with open_ledger(path) as ledger:
        ledger.add(row())
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:40])
    with open_ledger(path) as ledger:
        assert ledger.rows == (row(),)
        ledger.add(row(claim=digest_of(claim(1))))
    path.write_bytes(whole[:20] + b"\xff" + whole[20:])
    with pytest.raises(LedgerRefused, match="line 1"), open_ledger(path):
        pass


def test_two_batches_have_no_ledger_together(tmp_path: Path):
    path = tmp_path / "ledger"
    program = (
        "import sys; from pathlib import Path; from provisioning.ledger import open_ledger\n"
        "with open_ledger(Path(sys.argv[1])): pass"
    )
    with open_ledger(path):
        done = subprocess.run(
            [sys.executable, "-c", program, path], capture_output=True, check=False
        )
    assert done.returncode != 0
    assert b"another batch" in done.stderr


def test_too_few_claims_and_doubled_ones_are_told(tmp_path: Path):
    disks = [disk(tmp_path / f"card{n}") for n in range(2)]
    with open_ledger(tmp_path / "ledger") as ledger:
        with pytest.raises(LedgerRefused, match="1 of 1"):
            orders_of(disks, WISHES[:1], ledger)
        with pytest.raises(LedgerRefused, match="the same"):
            orders_of(disks, [WISHES[1], replace(WISHES[1], serial="b")], ledger)
        orders = orders_of(disks, WISHES, ledger)
    assert [order.wishes.serial for order in orders] == ["dw-0", "dw-1"]
    assert orders[0] == Order(disk=disks[0], wishes=WISHES[0])


def test_a_batch_is_for_one_relay(tmp_path: Path):
    elsewhere = msgspec.structs.replace(claim(1), relay_url="https://other.example")
    mixed = [WISHES[0], replace(WISHES[1], claim=elsewhere)]
    with open_ledger(tmp_path / "ledger") as ledger:
        with pytest.raises(LedgerRefused, match="several relays"):
            orders_of([disk(tmp_path / "a")], mixed, ledger)
        assert orders_of([disk(tmp_path / "a")], mixed[1:], ledger)


def test_a_batch_that_was_stopped_begins_no_card(image: Path, tmp_path: Path):
    card = disk(tmp_path / "a")
    with open_ledger(tmp_path / "ledger") as ledger:
        batch = Batch(
            image,
            ledger,
            sha256=None,
            wall_ms=lambda: 1,
            check_same=lambda _disk: None,
            progress_of=lambda _disk: lambda *_: None,
        )
        batch.cancel()
        (outcome,) = batch.run(orders_of([card], WISHES, ledger))
        assert (outcome.why, ledger.rows) == ("stopped; nothing was written", ())
