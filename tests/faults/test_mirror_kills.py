"""`kill -9` of a mirror before and after each durable step, and at any moment.

Then every copy that was reported is there, whole, and opens; nothing half is left; and the next
start goes on. DOORWARD_MIRROR_KILLS=N kills so often at random.
"""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from firmware.companion.viewer.mirror.copies import Copies, Limits
from firmware.companion.viewer.mirror.copy_check import CopyCheck
from firmware.enrolment.keys import DeviceKeys, load_or_make_keys
from firmware.protocol.encoding import b64u, new_id
from firmware.protocol.footage import MANIFEST_TAG, SignedManifest
from tests.fakes.mirror_home import OwnersKey
from tests.fakes.signed_clip import SignedClip, SignedShelf
from tests.faults.doorbells import seeded_dice

KILLS = int(os.environ.get("DOORWARD_MIRROR_KILLS", "30"))
NOW_MS = 1_790_000_000_000
STEPS = ("fsync", "replace", "pwrite", "ftruncate", "unlink")
CLIPS = 4


@dataclass
class Cellar:
    """A folder of copies, and a doorbell's clips to be copied, of which two have room."""

    folder: Path
    keys: DeviceKeys
    owner: OwnersKey
    film: SignedClip

    @property
    def limits(self) -> Limits:
        return Limits(max_bytes=round(len(self.film.file.mp4) * 2.5))

    def copy(self, count: int, say: Callable[[str], None]) -> None:
        """Copy so many clips, as the mirror does; say each that is stored."""
        copies = self.open()
        for _ in range(count):
            self._copy_one(copies, say)
        copies.close()

    def _copy_one(self, copies: Copies, say: Callable[[str], None]) -> None:
        started_ms = time.time_ns() // 1_000_000
        manifest = msgspec.structs.replace(
            self.film.manifest, clip_id=new_id(), started_ms=started_ms
        )
        text = manifest.encode()
        signed = SignedManifest(
            manifest=text.decode(), signature=b64u(self.keys.signer.sign(MANIFEST_TAG + text))
        )
        mp4 = self.film.file.mp4
        copies.make_room(self.limits, size_bytes=len(mp4), started_ms=started_ms, now_ms=started_ms)
        copies.store(mp4, signed, manifest, now_ms=started_ms)
        say(manifest.clip_id)

    def open(self) -> Copies:
        return Copies(
            self.folder,
            identity_spki=self.keys.signer.spki,
            recipient=self.owner.public,
            now_ms=NOW_MS,
        )

    def assert_all_in_order(self, stored: list[str]) -> None:
        """Start again, and look; `stored` is what was said before the kill."""
        copies = self.open()
        copies.close()
        check = CopyCheck(self.folder, private_key=self.owner.private)
        assert [one.text for one in check.faults()] == []
        assert not list(self.folder.glob("*.new"))
        kept = {path.name[-33:-7] for path in self.folder.glob("*.dwcopy")}
        newest = stored[-1:]
        assert set(newest) <= kept, "what was stored last is never removed for its size"
        assert len(kept) <= 3


@pytest.fixture
def cellar(tmp_path: Path) -> Cellar:
    keys = load_or_make_keys(tmp_path / "keys")
    film = SignedShelf(padding_bytes=300_000).record(keys, seconds=1.0, started_ms=NOW_MS)
    return Cellar(tmp_path / "mirror", keys, OwnersKey(), film)


def in_a_child(work: Callable[[Callable[[str], None]], None]) -> tuple[int, int]:
    """Run work in a forked process; return its pid and the pipe of what it says."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(read)
            work(lambda line: _write(write, line))
            os._exit(0)
        finally:
            os._exit(1)
    os.close(write)
    return pid, read


def _write(pipe: int, line: str) -> None:
    os.write(pipe, line.encode() + b"\n")


def ended(pid: int, pipe: int) -> tuple[int, list[str]]:
    """Wait for a child; return its wait status and the lines that it said."""
    with os.fdopen(pipe) as said:
        lines = said.read().split()
    return os.waitpid(pid, 0)[1], lines


def die_at(number: int, *, is_after: bool) -> None:
    """Have this process killed before or after its so-many-th durable step."""
    left = [number]

    def fused(step: Callable[..., Any]) -> Callable[..., Any]:
        def call(*values: Any, **named: Any) -> Any:
            left[0] -= 1
            if left[0] == 0 and not is_after:
                os.kill(os.getpid(), signal.SIGKILL)
            try:
                return step(*values, **named)
            finally:
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        return call

    for name in STEPS:
        setattr(os, name, fused(getattr(os, name)))


@pytest.mark.parametrize("is_after", [False, True])
def test_a_kill_at_each_durable_step_loses_no_copy(cellar: Cellar, is_after: bool) -> None:
    step, status = 0, -1
    while status != 0:
        step += 1

        def work(say: Callable[[str], None], step: int = step) -> None:
            die_at(step, is_after=is_after)
            cellar.copy(CLIPS, say)

        status, stored = ended(*in_a_child(work))
        assert os.WIFSIGNALED(status) or status == 0
        cellar.assert_all_in_order(stored)
    assert step > CLIPS * 5, "each step of storing and removing was met"


def test_kills_at_any_moment_lose_no_copy(cellar: Cellar) -> None:
    dice = seeded_dice()
    for _ in range(KILLS):
        pid, pipe = in_a_child(lambda say: cellar.copy(10_000, say))
        time.sleep(dice.uniform(0.0, 0.08))
        os.kill(pid, signal.SIGKILL)
        status, stored = ended(pid, pipe)
        assert os.WIFSIGNALED(status)
        cellar.assert_all_in_order(stored)
