"""A batch: many cards at once, each in a reader of its own, with claims from a folder.

Each card's claim is written down in the ledger before the card has it. A card that fails costs its
claim and stops no other.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from threading import Lock

from firmware.protocol.claims import Claim
from provisioning.cloud_init import Wishes
from provisioning.customise import customise
from provisioning.errors import LedgerRefused, ProvisioningError
from provisioning.image import Image
from provisioning.ledger import Ledger, LedgerRow, Step, digest_of
from provisioning.targets import Disk
from provisioning.writer import Card, Progress, Writer

MAX_READERS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One card to be made: its disk, and what its doorbell is to have."""

    disk: Disk
    wishes: Wishes


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one card; `why` None: it is done."""

    order: Order
    why: str | None


class Batch:
    """Makes cards of one image. `check_same` looks at a disk just before it is opened."""

    def __init__(
        self,
        image: Path,
        ledger: Ledger,
        *,
        sha256: str | None,
        wall_ms: Callable[[], int],
        check_same: Callable[[Disk], None],
        progress_of: Callable[[Disk], Progress],
    ) -> None:
        self._image = image
        self._ledger = ledger
        self._sha256 = sha256
        self._wall_ms = wall_ms
        self._check_same = check_same
        self._progress_of = progress_of
        self._lock = Lock()
        self._writers: list[Writer] = []
        self._is_cancelled = False

    def run(self, orders: Sequence[Order]) -> list[Outcome]:
        """Make all cards, each on a thread; return what became of each, in order."""
        with ThreadPoolExecutor(max_workers=MAX_READERS, thread_name_prefix="card") as threads:
            return list(threads.map(self._make, orders))

    def cancel(self) -> None:
        """Stop all soon; each card is blank or done."""
        self._is_cancelled = True
        for writer in list(self._writers):
            writer.cancel()

    def _make(self, order: Order) -> Outcome:
        image_digest = None
        try:
            self._note(order, "taken")
            image_digest = self._write(order.disk)
            customise(Path(order.disk.path), order.wishes, at=datetime.now().astimezone())
        except LedgerRefused as error:
            return Outcome(order=order, why=str(error))
        except ProvisioningError as error:
            self._note(order, "failed", image=image_digest, why=str(error)[:500])
            return Outcome(order=order, why=str(error))
        self._note(order, "done", image=image_digest)
        return Outcome(order=order, why=None)

    def _write(self, disk: Disk) -> str:
        with Image(self._image) as image:
            self._check_same(disk)
            with Card(Path(disk.path)) as card:
                writer = Writer(image, card, self._progress_of(disk))
                self._writers.append(writer)
                if self._is_cancelled:
                    writer.cancel()
                written, first = writer.write(sha256=self._sha256)
                writer.read_back(written, first)
                writer.finish(first)
        return written.sha256

    def _note(
        self, order: Order, step: Step, *, image: str | None = None, why: str | None = None
    ) -> None:
        disk, claim = order.disk, order.wishes.claim
        row = LedgerRow(
            at_ms=self._wall_ms(),
            step=step,
            serial=order.wishes.serial,
            claim=digest_of(claim),
            claim_ends_ms=claim.expires_ms,
            card=f"{disk.size} {disk.vendor} {disk.model} {disk.serial}".strip(),
            image=image,
            why=why,
        )
        with self._lock:
            self._ledger.add(row)


def orders_of(
    disks: Sequence[Disk], claims: Sequence[tuple[str, Claim]], common: Wishes, ledger: Ledger
) -> list[Order]:
    """Give each disk a claim that was never taken; raise LedgerRefused if there are too few.

    `claims` are names of doorbells and their claims; all else is `common`.
    """
    free = [
        (serial, claim)
        for serial, claim in claims
        if not ledger.is_taken(claim) and not ledger.is_used(serial)
    ]
    if len({digest_of(claim) for _, claim in free}) < len(free):
        raise LedgerRefused("two of the claims are the same; ask the relay's operator for others")
    if len(free) < len(disks):
        raise LedgerRefused(
            f"{len(disks)} cards want a claim, and {len(free)} of {len(claims)} weren't issued yet"
        )
    return [
        Order(disk=disk, wishes=replace(common, serial=serial, claim=claim))
        for disk, (serial, claim) in zip(disks, free, strict=False)
    ]
