"""Makes one card: the image, read back, then customised, and its partition table at the very end.

Until that last write the card is blank for whoever pulls it or presses Ctrl-C: the boot partition's
files are written while its partition table is still in memory (`held_back`). Both the command
`flash` and each card of a batch are made here.
"""

import threading
from datetime import datetime
from pathlib import Path

from provisioning.block_file import BlockFile
from provisioning.bundle_on_card import CardBundle
from provisioning.cloud_init import Wishes
from provisioning.customise import compare_files, write_files
from provisioning.errors import Cancelled, CardFailed
from provisioning.held_back import HeldBack
from provisioning.image import Image
from provisioning.watched_blocks import WatchedBlocks
from provisioning.writer import Card, Progress, Writer, Written, blank, opened_words, probe


class Flasher:
    """Makes one card of one image. `cancel` may be called by a signal's handler."""

    def __init__(self, image: Image, path: Path, progress: Progress) -> None:
        self._image = image
        self._path = path
        self._progress = progress
        self._is_cancelled = threading.Event()

    def cancel(self) -> None:
        """Stop soon: `make` raises Cancelled, and the card is blank."""
        self._is_cancelled.set()

    def make(
        self,
        *,
        sha256: str | None,
        wishes: Wishes | None,
        at: datetime,
        bundle: CardBundle | None = None,
        is_probed: bool = False,
    ) -> Written:
        """Make the card; return what of the image is on it.

        `sha256` is what a manifest promises of the unpacked image; `at` the local time for files'
        dates. Raises ProvisioningError; the card is blank then, unless it was never opened.
        """
        self._check("nothing was written")
        with Card(self._path) as card:
            if is_probed:
                self._probe(card)
            writer = Writer(self._image, card, self._progress, self._is_cancelled)
            written, first = writer.write(sha256=sha256)
            writer.read_back(written, first)
        if wishes is not None:
            first = self._customise(first, wishes, bundle, at)
        with Card(self._path) as card:
            Writer(self._image, card, self._progress, self._is_cancelled).finish(first)
        return written

    def _probe(self, card: Card) -> None:
        blank(card)
        try:
            probe(card, check=lambda: self._check("the card is blank and can be flashed again"))
        finally:
            blank(card)

    def _customise(
        self, first: bytes, wishes: Wishes, bundle: CardBundle | None, at: datetime
    ) -> bytes:
        """Write the files of a first boot; return the card's beginning, with them."""
        whole = 1 if bundle is None else 2 * bundle.checked.size
        done = 0

        def watch(count: int) -> None:
            nonlocal done
            self._check("the card is blank and can be flashed again")
            done += count
            if bundle is not None:
                self._progress("customising", done, min(0.99, done / whole))

        self._progress("customising", 0, 0.0)
        try:
            with BlockFile(self._path, is_writable=True) as blocks:
                held = HeldBack(WatchedBlocks(blocks, watch), first)
                files = write_files(held, wishes, bundle, at=at)
            with BlockFile(self._path) as blocks:
                blocks.forget_cached()
                compare_files(HeldBack(WatchedBlocks(blocks, watch), held.first), files)
        except OSError as error:
            raise CardFailed(opened_words(self._path, error)) from error
        self._progress("customising", done, 1.0)
        return held.first

    def _check(self, what: str) -> None:
        if self._is_cancelled.is_set():
            raise Cancelled(f"stopped; {what}")
