"""strace on a running process: sees its system calls, and makes them fail or wait.

strace counts an injection's `when=` for each thread on its own, from the moment at which it was
attached. `reason_against` says what is missing.
"""

import asyncio
import re
import shutil
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.fakes.waiting import PATIENCE_S

S = 1_000_000_000
NEVER = 2**63

_LINE = re.compile(r"(\d+) +(\d+)\.(\d{6}) (.*)")
_TOOK = re.compile(r"<(\d+)\.(\d{6})>$")
_LEFT = re.compile(r"(.*)<(?:unfinished|detached) \.\.\.>")
_RESUMED = re.compile(r"<\.\.\. (\w+) resumed>(.*)")


def reason_against() -> str:
    """Return why this machine can't do it, or nothing."""
    if shutil.which("strace") is None:
        return "this fault needs strace: apt install strace"
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One system call; times are monotonic nanoseconds, `to_ns` is NEVER if it was cut off."""

    thread: int
    name: str
    text: str
    from_ns: int
    to_ns: int

    @property
    def is_injected(self) -> bool:
        """Whether strace made it fail or wait."""
        return "(INJECTED)" in self.text or "(DELAYED)" in self.text


@asynccontextmanager
async def attached(pid: int, *options: str, log: Path) -> AsyncIterator[None]:
    """Trace a process and its threads; leave it alone again at the end."""
    always = ("-f", "-ttt", "-T", "-y", "-s", "0", "-o", str(log), "-p", str(pid))
    process = await asyncio.create_subprocess_exec(
        "strace", *always, *options, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    async with asyncio.timeout(PATIENCE_S):
        line = b""
        while b"attached" not in line:
            line = await process.stderr.readline()
            assert line, f"strace ended with {await process.wait()}"
    reading = asyncio.create_task(process.stderr.read())
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        await process.wait()
        await reading


def read_calls(log: Path) -> Iterator[Call]:
    """Yield all calls in the order of their return; those that were cut off come last."""
    wall_minus_monotonic_ns = time.time_ns() - time.monotonic_ns()
    unfinished: dict[tuple[int, str], tuple[int, str]] = {}
    for line in log.read_text("utf-8", "replace").splitlines():
        if (found := _LINE.fullmatch(line)) is None:
            continue
        thread, text = int(found[1]), found[4]
        at_ns = int(found[2]) * S + int(found[3]) * 1000 - wall_minus_monotonic_ns
        if (left := _LEFT.fullmatch(text)) is not None:
            unfinished[thread, text.partition("(")[0]] = (at_ns, left[1])
            continue
        if (resumed := _RESUMED.fullmatch(text)) is not None:
            begun = unfinished.pop((thread, resumed[1]), None)
            if begun is None:
                continue
            at_ns, text = begun[0], begun[1] + resumed[2]
        took = _TOOK.search(text)
        if took is not None:
            yield Call(
                thread=thread,
                name=text.partition("(")[0],
                text=text,
                from_ns=at_ns,
                to_ns=at_ns + int(took[1]) * S + int(took[2]) * 1000,
            )
    for (thread, name), (at_ns, text) in unfinished.items():
        yield Call(thread=thread, name=name, text=text, from_ns=at_ns, to_ns=NEVER)
