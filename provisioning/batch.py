"""A batch: many cards at once, each in a reader of its own, with claims from a folder.

Each card's claim is written down in the ledger before the card has it. A card that fails costs its
claim and stops no other.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Lock

from provisioning.bundle_on_card import CardBundle
from provisioning.cloud_init import Wishes
from provisioning.errors import LedgerRefused, ProvisioningError
from provisioning.flasher import Flasher
from provisioning.image import Image
from provisioning.ledger import Ledger, LedgerRow, Step, digest_of
from provisioning.targets import Disk
from provisioning.writer import Progress

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
        bundle: CardBundle | None = None,
    ) -> None:
        self._image = image
        self._bundle = bundle
        self._ledger = ledger
        self._sha256 = sha256
        self._wall_ms = wall_ms
        self._check_same = check_same
        self._progress_of = progress_of
        self._lock = Lock()
        self._flashers: list[Flasher] = []
        self._is_cancelled = False

    def run(self, orders: Sequence[Order]) -> list[Outcome]:
        """Make all cards, each on a thread; return what became of each, in order."""
        with ThreadPoolExecutor(max_workers=MAX_READERS, thread_name_prefix="card") as threads:
            return list(threads.map(self._make, orders))

    @property
    def is_cancelled(self) -> bool:
        """Whether somebody stopped it."""
        return self._is_cancelled

    def cancel(self) -> None:
        """Stop all soon; each card is blank or done."""
        self._is_cancelled = True
        for flasher in list(self._flashers):
            flasher.cancel()

    def _make(self, order: Order) -> Outcome:
        if self._is_cancelled:
            return Outcome(order=order, why="stopped; nothing was written")
        image_digest = None
        try:
            self._note(order, "taken")
            image_digest = self._flash(order)
        except LedgerRefused as error:
            return Outcome(order=order, why=str(error))
        except ProvisioningError as error:
            self._note(order, "failed", image=image_digest, why=str(error)[:500])
            return Outcome(order=order, why=str(error))
        self._note(order, "done", image=image_digest)
        return Outcome(order=order, why=None)

    def _flash(self, order: Order) -> str:
        with Image(self._image) as image:
            self._check_same(order.disk)
            flasher = Flasher(image, Path(order.disk.path), self._progress_of(order.disk))
            self._flashers.append(flasher)
            if self._is_cancelled:
                flasher.cancel()
            at = datetime.now().astimezone()
            written = flasher.make(
                sha256=self._sha256, wishes=order.wishes, bundle=self._bundle, at=at
            )
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


def orders_of(disks: Sequence[Disk], wishes: Sequence[Wishes], ledger: Ledger) -> list[Order]:
    """Give each disk wishes whose claim was never taken; raise LedgerRefused if there are too few.

    All claims must be of one relay: a claim of another would be refused there, one card later.
    """
    free = [one for one in wishes if not (ledger.is_taken(one.claim) or ledger.is_used(one.serial))]
    if len({digest_of(one.claim) for one in free}) < len(free):
        raise LedgerRefused("two of the claims are the same; ask the relay's operator for others")
    relays = sorted({one.claim.relay_url for one in free})
    if len(relays) > 1 or len({one.claim.ca_sha256 for one in free}) > 1:
        raise LedgerRefused(
            f"the invitations are of several relays ({', '.join(relays)}); make a batch for each"
        )
    if len(free) < len(disks):
        raise LedgerRefused(
            f"{len(disks)} cards want a claim, and {len(free)} of {len(wishes)} weren't issued yet"
        )
    return [Order(disk=disk, wishes=one) for disk, one in zip(disks, free, strict=False)]
