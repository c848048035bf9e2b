# ruff: noqa: S310 (the URLs are the test's own)
"""Six times `kill -9` of the uploader while it sends 64 MB to the real bucket.

DOORWARD_KILLS=N: so often. The seed is printed: DOORWARD_SEED=N plays the same again.
"""

import asyncio
import hashlib
import os
import random
import signal
import subprocess
import sys
import urllib.request
from collections import Counter
from pathlib import Path

import pytest

from firmware.outbox.outgoing import Outgoing
from firmware.outbox.uploader import PARTS_AT_ONCE
from firmware.protocol.encoding import decode
from firmware.protocol.events import PackageUploaded
from tests.fakes.bucket_proxy import run_bucket_proxy
from tests.faults.uploads import Bay, open_bay, store_port
from tests.relay.servers import run_object_store

pytestmark = [pytest.mark.services, pytest.mark.slow]

KILLS = int(os.environ.get("DOORWARD_KILLS", "6"))
PACKAGE_BYTES = 64 * 1000 * 1000
BYTES_PER_S = 25e6
"""Of each of the proxy's connections, so that a kill finds something under way."""
LIVES_S = (0.02, 1.2)


class Killed:
    """What the proxy and the card said of one package, whose uploader is killed at any moment."""

    def __init__(self, bay: Bay, dice: random.Random) -> None:
        self._bay = bay
        self._dice = dice
        self.kills = 0

    def run_once(self, *, is_spared: bool) -> PackageUploaded | None:
        """Let the uploader live for a while; return its result if it got so far."""
        bay = self._bay
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.faults.uploading_process"),
                *(bay.outgoing_folder, bay.proxy.origin, bay.ticket_file),
            ],
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        with process.stdout:
            assert process.stdout.readline() == b"begun\n"
            try:
                process.wait(None if is_spared else self._dice.uniform(*LIVES_S))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
                self.kills += 1
                return None
            assert process.returncode == 0
            return decode(PackageUploaded, process.stdout.readline().strip(), max_bytes=1 << 20)


def test_a_finished_part_is_never_sent_again_whatever_is_killed(tmp_path: Path) -> None:
    seed = int(os.environ.get("DOORWARD_SEED", random.randrange(10**6)))
    print(f"DOORWARD_SEED={seed}")
    dice = random.Random(seed)
    sealed = dice.randbytes(PACKAGE_BYTES)
    kills, again, package = 0, 0, 0
    with run_object_store(tmp_path) as config:
        while kills < KILLS:
            package += 1
            with run_bucket_proxy(store_port(config), seed=seed, bytes_per_s=BYTES_PER_S) as proxy:
                bay = asyncio.run(open_bay(tmp_path / f"p{package}", config, proxy, sealed))
                kills, again = kill_while_uploading(bay, dice, kills, again)
                asyncio.run(bay.complete())
                with urllib.request.urlopen(asyncio.run(bay.download_url())) as answer:
                    assert hashlib.sha256(answer.read()).digest() == hashlib.sha256(sealed).digest()
                assert asyncio.run(bay.store.list_uploads()) == []
    print(f"{kills} kills, {package} packages, {again} answered parts sent again")
    assert again <= kills * PARTS_AT_ONCE


def kill_while_uploading(bay: Bay, dice: random.Random, kills: int, again: int) -> tuple[int, int]:
    """Upload one package; return how often the uploader was killed, and what came again."""
    killed = Killed(bay, dice)
    uploaded = None
    while uploaded is None:
        noted = set(Outgoing(bay.outgoing_folder).progress(bay.package_id, bay.upload_id))
        begun_before = len(bay.proxy.begun)
        uploaded = killed.run_once(is_spared=kills + killed.kills >= KILLS)
        sent_now = {part.number for part in bay.proxy.begun[begun_before:]}
        assert not noted & sent_now, "a part that was noted is sent again"
    assert {part.number for part in bay.proxy.finished} == set(range(1, 9))
    # What was answered but not noted when the kill struck comes again; nothing else does.
    answered = Counter(bay.proxy.answered)
    again += sum(count - 1 for count in answered.values())
    assert max(answered.values()) <= 1 + killed.kills
    bay.uploaded = uploaded
    return kills + killed.kills, again
