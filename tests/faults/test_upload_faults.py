# ruff: noqa: S310 (the URLs are the test's own)
"""A bucket that breaks 38 of 100 connections gets every package whole (findings R6).

DOORWARD_UPLOADS=N: so many packages. The seed is printed: DOORWARD_SEED=N plays the same again.
"""

import asyncio
import hashlib
import os
import random
import urllib.request
from pathlib import Path

import pytest

from firmware.errors import UploadFailed
from firmware.outbox.bucket import Bucket
from firmware.outbox.outgoing import Outgoing
from firmware.outbox.uploader import PARTS_AT_ONCE, Uploader
from firmware.protocol.events import PackageUploaded
from tests.fakes.bucket_proxy import Faults, run_bucket_proxy
from tests.faults.uploads import Bay, open_bay, store_port
from tests.relay.servers import run_object_store

pytestmark = [pytest.mark.services, pytest.mark.slow]

UPLOADS = int(os.environ.get("DOORWARD_UPLOADS", "12"))
PACKAGE_BYTES = 9 * 1024 * 1024
FAULTS = Faults(reset=0.10, refuse=0.15, cut=0.10, hang=0.03, hang_s=2.0)
STALL_S = 1.0


async def upload(bay: Bay, dice: random.Random) -> PackageUploaded:
    """Follow the ticket until all is there, as Uploads does; waiting takes no time."""

    async def no_time(_seconds: float) -> None:
        await asyncio.sleep(0)

    uploader = Uploader(
        outgoing=Outgoing(bay.outgoing_folder),
        bucket=Bucket(bay.proxy.origin, parts_at_once=PARTS_AT_ONCE, stall_timeout_s=STALL_S),
        source=dice,
        sleep=no_time,
    )
    while True:
        try:
            parts = await uploader.upload(bay.ticket)
        except UploadFailed:
            continue
        return PackageUploaded(package_id=bay.package_id, parts=parts)


def test_every_package_comes_whole_over_a_bad_way(tmp_path: Path) -> None:
    seed = int(os.environ.get("DOORWARD_SEED", random.randrange(10**6)))
    print(f"DOORWARD_SEED={seed}")
    dice = random.Random(seed)
    with (
        run_object_store(tmp_path) as config,
        run_bucket_proxy(store_port(config), FAULTS, seed=seed) as proxy,
    ):
        for number in range(UPLOADS):
            sealed = dice.randbytes(PACKAGE_BYTES)
            bay = asyncio.run(open_bay(tmp_path / str(number), config, proxy, sealed))
            bay.uploaded = asyncio.run(upload(bay, dice))
            asyncio.run(bay.complete())
            with urllib.request.urlopen(asyncio.run(bay.download_url())) as answer:
                assert hashlib.sha256(answer.read()).digest() == hashlib.sha256(sealed).digest()
        assert asyncio.run(bay.store.list_uploads()) == []
        print(f"{UPLOADS} packages, {len(proxy.begun)} parts begun, {proxy.struck}")
        assert set(proxy.struck) == {"reset", "refuse", "cut", "hang"}
        assert len(proxy.answered) == len(set(proxy.answered)), "an answered part came again"
