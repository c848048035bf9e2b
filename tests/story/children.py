"""Child processes: started in sessions of their own, watched until ready, ended in reverse order.

Each writes to `logs/NAME.log`. A session of its own keeps Ctrl-C from reaching a child before
the story has decided in which order to end them.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import httpx2

from tests.story.settings import StoryError

STOP_TIMEOUT_S = 10.0
TAIL_LINES = 15
LOOK_EACH_S = 0.5
MOST_ENDS = 3
ENDS_WITHIN_S = 300.0
"""A program that ends more often in that time is at fault itself: the story ends as well."""

IsReady = Callable[[], Awaitable[bool]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """How one server is started, and how one sees that it is ready."""

    name: str
    command: Sequence[str]
    is_ready: IsReady
    timeout_s: float = 90.0
    """Of a busy machine; one that ends instead is noticed at once."""
    folder: Path | None = None
    """Where it is started; None: here."""


@dataclass(slots=True, kw_only=True)
class Child:
    """A program that runs."""

    program: Program
    process: asyncio.subprocess.Process
    log: Path
    is_ready: bool = False


class Children:
    """All processes of one start."""

    def __init__(self, data_dir: Path) -> None:
        self._logs = data_dir / "logs"
        self._tmp = data_dir / "tmp"
        self._running: dict[str, Child] = {}
        self._ended_s: dict[str, list[float]] = {}

    async def start(self, program: Program) -> None:
        """Start a program and wait until it is ready, or raise StoryError with its last words."""
        self._logs.mkdir(exist_ok=True)
        self._tmp.mkdir(exist_ok=True)
        log = self._logs / f"{program.name}.log"
        with log.open("ab") as file:
            process = await asyncio.create_subprocess_exec(
                *program.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
                env=child_environment(self._tmp),
                cwd=program.folder,
            )
        child = Child(program=program, process=process, log=log)
        self._running[program.name] = child
        await self._wait_ready(child)
        child.is_ready = True

    def pid(self, name: str) -> int:
        """Return the process id of a running program."""
        return self._running[name].process.pid

    async def kill(self, name: str) -> None:
        """End a program as a power cut would (for tests/faults)."""
        child = self._running.pop(name)
        _signal(child.process, signal.SIGKILL)
        await child.process.wait()

    async def stop_all(self) -> None:
        """End every program, the last started first; kill what doesn't end in time."""
        while self._running:
            _, child = self._running.popitem()
            await _stop(child.process)

    async def keep_running(self) -> NoReturn:
        """Start each program again that ends by itself, until cancelled.

        StoryError: one ends again and again, or isn't ready any more after its start.
        """
        while True:
            for child in list(self._running.values()):
                if child.is_ready and child.process.returncode is not None:
                    await self._start_again(child)
            await asyncio.sleep(LOOK_EACH_S)

    async def _start_again(self, child: Child) -> None:
        name, now_s = child.program.name, time.monotonic()
        recent = [at for at in self._ended_s.get(name, []) if now_s - at < ENDS_WITHIN_S]
        self._ended_s[name] = [*recent, now_s]
        if len(recent) >= MOST_ENDS:
            raise StoryError(_last_words(child))
        code = child.process.returncode
        said = f"{name} ended with exit code {code}; it is started again"
        print(said, file=sys.stderr, flush=True)
        await self.start(child.program)
        print(f"{name} is up again", file=sys.stderr, flush=True)

    async def _wait_ready(self, child: Child) -> None:
        try:
            async with asyncio.timeout(child.program.timeout_s):
                while not await child.program.is_ready():
                    if child.process.returncode is not None:
                        raise StoryError(_last_words(child))
                    await asyncio.sleep(0.05)
        except TimeoutError as error:
            waited = f"{child.program.name} wasn't ready after {child.program.timeout_s:.0f} s"
            raise StoryError(f"{waited}\n{_tail(child.log)}") from error


def child_environment(tmp: Path) -> dict[str, str]:
    """Return this environment with temporary files kept inside the data folder."""
    return {**os.environ, "TMPDIR": str(tmp), "PYTHONUNBUFFERED": "1"}


async def run_to_end(command: Sequence[str], *, timeout_s: float = 60.0) -> str:
    """Run a command that ends by itself; return its stdout, or raise StoryError."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(timeout_s):
            stdout, stderr = await process.communicate()
    except TimeoutError as error:
        raise StoryError(f"{' '.join(command[:3])} didn't end in {timeout_s:.0f} s") from error
    finally:
        if process.returncode is None:
            _signal(process, signal.SIGKILL)
            await process.wait()
    if process.returncode:
        said = (stderr or stdout).decode(errors="replace").strip()
        raise StoryError(f"{' '.join(command)}\nended with {process.returncode}:\n{said}")
    return stdout.decode()


def answers_tcp(port: int) -> IsReady:
    """Ready once 127.0.0.1:`port` takes a connection."""

    async def is_ready() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return False
        writer.close()
        return True

    return is_ready


def answers_http(url: str, *, is_any_status: bool = False) -> IsReady:
    """Ready once `url` answers 200 (or anything at all)."""

    async def is_ready() -> bool:
        try:
            async with httpx2.AsyncClient(timeout=2.0, trust_env=False) as client:
                answer = await client.get(url)
        except httpx2.HTTPError:
            return False
        return is_any_status or answer.status_code == 200

    return is_ready


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    _signal(process, signal.SIGTERM)
    try:
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await process.wait()
    except TimeoutError:
        _signal(process, signal.SIGKILL)
        await process.wait()


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Signal a program's whole session; one that has just ended mustn't keep the rest running."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _last_words(child: Child) -> str:
    return (
        f"{child.program.name} ended with exit code {child.process.returncode}\n{_tail(child.log)}"
    )


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()[-TAIL_LINES:]
    return "\n".join([f"the end of {log}:", *(f"  {line}" for line in lines)])
