"""Recording processes that a test starts, watches by their journal, kills, or ends well."""

import asyncio
import os
import random
import signal
import sys
import time
from asyncio.subprocess import Process
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Self

from tests.fakes.waiting import PATIENCE_S
from tests.faults.remains import Life, read_journal

PROJECT = Path(__file__).resolve().parents[2]


def seeded_dice() -> random.Random:
    """Return chance that DOORWARD_SEED plays again; the seed is printed."""
    seed = int(os.environ.get("DOORWARD_SEED", random.randrange(10**6)))
    print(f"DOORWARD_SEED={seed}")
    return random.Random(seed)


class RecordingDoorbell:
    """One doorbell: a folder, a journal beside it, and at most one process at a time.

    At the end of its `async with` no process of it is left.
    """

    def __init__(
        self, folder: Path, beside: Path, *, speed: float = 1.0, keep_bytes: int = 10**9
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        beside.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.journal = beside / "journal"
        self.words = beside / "words"
        self._speed = speed
        self._keep_bytes = keep_bytes
        self._process: Process | None = None
        self._words: IO[bytes] | None = None
        self._lives_before = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process is not None and self._process.returncode is None:
            await self.kill()

    @property
    def process(self) -> Process:
        assert self._process is not None
        return self._process

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def lives(self) -> list[Life]:
        return read_journal(self.journal)

    async def start(self, *, is_waiting: bool = False) -> None:
        """Start the process; a waiting one touches its folder after `go` only."""
        self._lives_before = len(self.lives)
        self._words = self.words.open("ab")
        program = [sys.executable, "-m", "tests.faults.recording_process"]
        options = ["--speed", str(self._speed), "--keep-bytes", str(self._keep_bytes)]
        options += ["--wait"] if is_waiting else []
        self._process = await asyncio.create_subprocess_exec(
            *program,
            str(self.folder),
            str(self.journal),
            *options,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=self._words,
            cwd=PROJECT,
        )
        if is_waiting:
            assert self._process.stdout is not None
            assert await self._process.stdout.readline() == b"waiting\n"

    def go(self) -> None:
        """Let a waiting process begin."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"go\n")

    async def until(
        self, holds: Callable[[Life], bool] = lambda life: life.ready_ns is not None
    ) -> Life:
        """Return this process's life once it is as wanted: as a rule, once it films."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                lives = self.lives
                if len(lives) > self._lives_before and holds(lives[-1]):
                    return lives[-1]
                assert self.process.returncode is None, self.words.read_text()[-3000:]
                await asyncio.sleep(0.02)

    async def until_ready_or_ended(self) -> None:
        """Return once the process films, or has given up."""
        async with asyncio.timeout(PATIENCE_S):
            while self.process.returncode is None:
                lives = self.lives[self._lives_before :]
                if lives and lives[-1].ready_ns is not None:
                    return
                await asyncio.sleep(0.02)

    async def kill(self) -> int:
        """End the process as a power cut would; return when (monotonic ns)."""
        at_ns = time.monotonic_ns()
        with suppress(ProcessLookupError):
            self.process.kill()
        await self._gone()
        return at_ns

    async def end(self) -> None:
        """End the process in good order, and see that it did."""
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE_S):
            await self._gone()
        assert self.process.returncode == 0, self.words.read_text()[-3000:]

    async def _gone(self) -> None:
        await self.process.wait()
        if self._words is not None:
            self._words.close()
