"""A doorbell's follower and a long register, for `register` and `make soak`; prints JSON lines.

    python -m tests.bench.long_register 1000000 50000

The log grows by so many entries at a time in a process of its own, and is read as it is there: so
most of the reads are long ones. What is measured is the reader's process: CPU, memory and card.
"""

import argparse
import asyncio
import os
import random
import resource
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx2
import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from firmware.enrolment.keys import FileSigner
from firmware.transparency.errors import LogUnreadable
from firmware.transparency.follower import RegisterFollower
from firmware.transparency.log_source import LogSource
from firmware.transparency.policy_file import logs_of
from tests.fakes.clock import ManualClock
from tests.fakes.followers import LOG_URL
from tests.fakes.log_town import NOW_MS
from tests.fakes.long_register import LongRegister

LOOK_S = 1.0
MB = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What it took to follow a register up to a size."""

    entries: int
    cpu_s: float
    rss_mb: float
    peak_mb: float
    card_mb: float
    """The most that the card had of it."""
    restart_cpu_s: float = 0.0


class RealTime(ManualClock):
    """A wall clock that stands still, beside time that passes."""

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()


class Reader:
    """A doorbell that follows a long register."""

    def __init__(self, folder: Path, register: LongRegister) -> None:
        self.register = register
        self.card = folder
        self._signer = FileSigner(ec.generate_private_key(ec.SECP256R1()))
        self._most_bytes = 0
        self.follower = self.restarted()

    def restarted(self) -> RegisterFollower:
        """Return a follower with the same card."""
        http = httpx2.AsyncClient(transport=self.register.transport())
        return RegisterFollower(
            folder=self.card,
            logs=logs_of(self.register.policy),
            source=LogSource(http, LOG_URL, "register"),
            clock=RealTime(wall_ms=NOW_MS),
            signer=self._signer,
            chance=random.Random(7),
        )

    async def read(self) -> Reading:
        """Read what is new."""
        with suppress(LogUnreadable):  # the list of stamps grew since the checkpoint was read
            await self.follower.read()
        card = sum(path.stat().st_size for path in self.card.iterdir())
        self._most_bytes = max(self._most_bytes, card)
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return Reading(
            entries=self.follower.facts().size,
            cpu_s=time.process_time(),
            rss_mb=pages * os.sysconf("SC_PAGE_SIZE") / MB,
            peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MB,
            card_mb=self._most_bytes / MB,
        )


async def follow(folder: Path, register: LongRegister, size: int) -> Reading:
    """Follow a register that another process lets grow; print each reading, return the last."""
    reader = Reader(folder, register)
    reading = await reader.read()
    while reading.entries < size:
        await asyncio.sleep(LOOK_S)
        before, reading = reading, await reader.read()
        if reading.entries > before.entries:
            print(msgspec.json.encode(asdict(reading)).decode(), flush=True)
    begin_s = time.process_time()
    again = reader.restarted()
    await again.start()
    if again.facts() != reader.follower.facts():
        raise AssertionError("a restart knows something else")
    took_s = time.process_time() - begin_s
    if register.town.agreement.ends_ms > NOW_MS:  # one lasts a year, and none follows here
        again.extract(list(again.facts().requests)[-1])
    return Reading(**{**asdict(reading), "restart_cpu_s": took_s})


def main() -> None:
    """Let the register grow in a child, and follow it here."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("size", type=int)
    parser.add_argument("step", type=int)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dwb-") as name:
        folder = Path(name)
        (folder / "log").mkdir()
        register = LongRegister(folder / "log", size=given.size)
        child = os.fork()
        if child == 0:
            for size in range(given.step, given.size + 1, given.step):
                register.grow(size)
            os._exit(0)
        last = asyncio.run(follow(folder / "card", register, given.size))
        os.waitpid(child, 0)
    print(msgspec.json.encode(asdict(last)).decode(), flush=True)


if __name__ == "__main__":
    main()
